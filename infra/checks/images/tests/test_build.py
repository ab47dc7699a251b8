"""The build of the images: what Docker and ECR are asked for."""

import json
from pathlib import Path

from support import IMAGES, ScriptTest

BUILD = IMAGES / "build"
REGISTRY = "111122223333.dkr.ecr.us-west-2.amazonaws.com/darkroom"


class Build(ScriptTest):
    def build(self, *arguments: str, **environment: str):
        return self.run_script(BUILD, "--config", str(self.config), *arguments, **environment)

    def builds(self) -> list[list[str]]:
        return [call[3:] for call in self.calls() if call[:3] == ["docker", "buildx", "build"]]

    def test_without_push_everything_stays_here(self):
        done = self.build()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([call[call.index("--tag") + 1] for call in self.builds()],
                         [f"{REGISTRY}/{name}:0.1.0" for name in ("worker", "sdwebui", "comfyui")])
        for call in self.builds():
            self.assertIn("--load", call)
            self.assertNotIn("--push", call)
        self.assertFalse([call for call in self.calls() if "ecr" in call])

    def platforms(self) -> list[str]:
        return [call[call.index("--platform") + 1] for call in self.builds()]

    def test_images_are_for_the_nodes_architecture_which_the_default_builder_can_push(self):
        done = self.build("--push")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.platforms(), ["linux/amd64"] * 3)

    def test_the_worker_is_for_arm64_too_if_that_is_asked_for(self):
        done = self.build("--push", "--arm64")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.platforms(), ["linux/amd64,linux/arm64", "linux/amd64", "linux/amd64"])

    def test_an_engine_takes_one_platform(self):
        done = self.build("--arm64")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("--push", done.stderr)
        self.assertEqual(self.builds(), [])

    def test_layers_are_compressed_as_is_asked_for_those_of_the_base_too(self):
        done = self.build("--push", "--compression", "zstd", "comfyui")
        self.assertEqual(done.returncode, 0, done.stderr)
        output = self.builds()[0][self.builds()[0].index("--output") + 1]
        self.assertIn("push=true", output)
        self.assertIn("compression=zstd,force-compression=true", output)
        self.assertNotIn("--push", self.builds()[0])

    def test_compression_needs_a_registry_and_is_one_that_docker_knows(self):
        for arguments in (["--compression", "zstd"], ["--push", "--compression", "lzma"]):
            done = self.build(*arguments)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("--compression", done.stderr)
        self.assertEqual(self.builds(), [])

    def test_repositories_that_are_missing_are_made_with_tags_that_stay_and_scans(self):
        self.build("--push", "worker", FAKE_FAILS="ecr describe-repositories")
        made = next(call for call in self.calls() if "create-repository" in call)
        self.assertIn("darkroom/worker", made)
        self.assertEqual(made[made.index("--image-tag-mutability") + 1], "IMMUTABLE")
        self.assertEqual(made[made.index("--image-scanning-configuration") + 1], "scanOnPush=true")

    def test_the_password_is_never_an_argument(self):
        self.build("--push", "worker")
        for call in self.calls():
            self.assertFalse([word for word in call if "a-password-of-ecr" in word and not word.startswith("<")], call)
        login = next(call for call in self.calls() if call[:2] == ["docker", "login"])
        self.assertEqual(login[-1], "<a-password-of-ecr")

    def test_an_image_that_is_there_is_not_built_again(self):
        done = self.build("--push", "worker", FAKE_ANSWERS=json.dumps({"ecr describe-images": "there"}))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.builds(), [])
        self.assertIn("there already", done.stdout)

    def test_another_registry_is_used_as_it_is(self):
        done = self.build("--push", "comfyui", REGISTRY="registry.example.com/darkroom", TAG="1.2.3")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("registry.example.com/darkroom/comfyui:1.2.3", self.builds()[0])
        self.assertFalse([call for call in self.calls() if call[0] == "aws"])

    def test_china_has_host_names_of_its_own(self):
        text = self.config.read_text().replace("us-west-2", "cn-northwest-1")
        self.config.write_text(text + "cluster: { charts: oci://mirror.example.com }\n")
        done = self.build("--push", "worker")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("111122223333.dkr.ecr.cn-northwest-1.amazonaws.com.cn/darkroom/worker:0.1.0", self.builds()[0])

    def test_a_wrong_configuration_builds_nothing(self):
        self.config.write_text("region: nowhere\n")
        done = self.build()
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("region", done.stderr)
        self.assertEqual(self.builds(), [])

    def test_each_file_is_there(self):
        self.build()
        for call in self.builds():
            self.assertTrue(Path(call[call.index("--file") + 1]).is_file())
