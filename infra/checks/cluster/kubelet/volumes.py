"""A pod's volumes, as folders, and where containers see them: environment variables that name a mount get its folder."""

from pathlib import Path

from api import Api


class Volumes:
    """Empty folders, and the token of the pod's service account. A claim must be bound, and mounts nothing."""

    def __init__(self, api: Api, pod: dict, folder: Path):
        self._api, self._pod, self._folder = api, pod, folder
        for volume in pod["spec"].get("volumes", []):
            target = folder / volume["name"]
            target.mkdir(parents=True, exist_ok=True)
            for source in volume.get("projected", {}).get("sources", []):
                self._project(source, target)

    def unbound(self) -> bool:
        """Whether a claim waits for its volume; the scheduler lets no such pod through, so this is about later."""
        namespace = self._pod["metadata"]["namespace"]
        for volume in self._pod["spec"].get("volumes", []):
            if "persistentVolumeClaim" in volume:
                name = volume["persistentVolumeClaim"]["claimName"]
                claim = self._api.get(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}")
                if claim is None or claim.get("status", {}).get("phase") != "Bound":
                    return True
        return False

    def path(self, container: dict, value: str) -> str:
        """The value of a variable; a path under a mount becomes the path of its folder."""
        for mount in container.get("volumeMounts", []):
            if value == mount["mountPath"] or value.startswith(mount["mountPath"] + "/"):
                return str(self._folder / mount["name"]) + value[len(mount["mountPath"]) :]
        return value

    def folder_at(self, container: dict, mount_path: str) -> Path | None:
        for mount in container.get("volumeMounts", []):
            if mount["mountPath"] == mount_path:
                return self._folder / mount["name"]
        return None

    def _project(self, source: dict, target: Path) -> None:
        metadata, namespace = self._pod["metadata"], self._pod["metadata"]["namespace"]
        if "serviceAccountToken" in source:
            account = self._pod["spec"]["serviceAccountName"]
            bound = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
            request = {
                "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                "spec": {
                    "expirationSeconds": source["serviceAccountToken"]["expirationSeconds"], "boundObjectRef": bound,
                },
            }
            path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
            token = self._api.create(path, request)["status"]["token"]
            (target / source["serviceAccountToken"]["path"]).write_text(token)
        if "configMap" in source:
            path = f"/api/v1/namespaces/{namespace}/configmaps/{source['configMap']['name']}"
            data = self._api.call("GET", path)["data"]
            for item in source["configMap"]["items"]:
                (target / item["path"]).write_text(data[item["key"]])
