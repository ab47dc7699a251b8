"""The snapshot of the images: which calls it takes, and what is left after each way that it can end."""

import json

from support import CONFIG, IMAGES, INFRA, ScriptTest

SNAPSHOT = IMAGES / "cache" / "snapshot"
REGISTRY = "111122223333.dkr.ecr.us-west-2.amazonaws.com/darkroom"


class Snapshot(ScriptTest):
    def take(self, *arguments: str, **environment: str):
        return self.run_script(SNAPSHOT, "--config", str(self.config), *arguments, **environment)

    def names(self) -> list[str]:
        """The operations in their order, each once in a row, without what only looks."""
        found: list[str] = []
        for operation in self.operations():
            looks = operation.split()[1].startswith(("describe", "get", "wait"))
            if not looks and found[-1:] != [operation]:
                found.append(operation)
        return found

    def commands(self) -> list[str]:
        """What was run in the instance."""
        sent = [call for call in self.calls() if "send-command" in call]
        return [json.loads(call[call.index("--parameters") + 1])["commands"][0] for call in sent]

    def test_pulls_stops_copies_and_deletes(self):
        done = self.take()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(
            self.names(),
            [
                "cloudformation deploy",
                "ssm send-command",
                "ec2 stop-instances",
                "ec2 create-snapshot",
                "cloudformation delete-stack",
            ],
        )

    def test_pulls_each_image_of_the_deployment_once(self):
        self.take("--image", f"{REGISTRY}/worker:0.1.0", "--image", "public.ecr.aws/example/nodes:1.2.3")
        pulled = [command.split("--source=")[1].split()[0] for command in self.commands() if "--source=" in command]
        expected = [f"{REGISTRY}/{name}:0.1.0" for name in ("worker", "sdwebui", "comfyui")]
        self.assertEqual(sorted(set(pulled)), sorted([*expected, "public.ecr.aws/example/nodes:1.2.3"]))

    def test_no_password_is_fetched_or_sent(self):
        self.take()
        for call in self.calls():
            self.assertNotIn("get-login-password", call)
        for command in self.commands():
            self.assertNotRegex(command, r"(?i)password|--user|--creds|docker login")

    def test_the_volume_is_no_larger_than_the_smallest_that_comes_from_it(self):
        self.take()
        deploy = next(call for call in self.calls() if "deploy" in call)
        self.assertIn("VolumeGiB=60", deploy)

    def test_the_instance_has_the_nodes_system(self):
        self.take()
        deploy = next(call for call in self.calls() if "deploy" in call)
        image = "Image=/aws/service/bottlerocket/aws-k8s-1.35/x86_64/1."
        self.assertTrue(any(word.startswith(image) for word in deploy), deploy)

    def test_an_existing_cluster_says_itself_which_system_and_subnet(self):
        self.config.write_text((INFRA / "examples" / "existing-cluster.yaml").read_text())
        self.take()
        deploy = next(call for call in self.calls() if "deploy" in call)
        self.assertTrue(any("/aws-k8s-1.36/" in word for word in deploy), deploy)
        asked = next(call for call in self.calls() if "describe-subnets" in call)
        self.assertIn("Name=subnet-id,Values=subnet-0123456789abcdef0", asked)

    def test_the_configuration_uses_it_and_keeps_its_comments(self):
        self.take()
        text = self.config.read_text()
        self.assertEqual(text, f"{CONFIG}\nimageCache:\n  mode: snapshot\n  snapshot: snap-0aaaaaaaaaaaaaaaa\n  initializationRate: 300\n")

    def test_whatever_fails_the_instance_is_deleted_and_the_configuration_stays(self):
        for operation in (
            "cloudformation deploy", "ssm send-command", "ec2 stop-instances", "ec2 wait", "ec2 describe-instances",
            "ec2 create-snapshot",
        ):
            with self.subTest(operation):
                self.log.write_text("")
                done = self.take(FAKE_FAILS=operation)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn("cloudformation delete-stack", self.names())
                self.assertEqual(self.config.read_text(), CONFIG)

    def test_a_pull_that_fails_ends_it_with_what_the_instance_said(self):
        answers = {"ssm get-command-invocation": "Failed"}
        done = self.take(FAKE_ANSWERS=json.dumps(answers))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("could not", done.stderr)
        self.assertNotIn("ec2 create-snapshot", self.names())
        self.assertIn("cloudformation delete-stack", self.names())

    def test_a_snapshot_that_breaks_off_is_deleted(self):
        answers = {"ec2 describe-snapshots": "error"}
        done = self.take("--force", FAKE_ANSWERS=json.dumps(answers))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("ec2 delete-snapshot", self.names())
        self.assertEqual(self.config.read_text(), CONFIG)

    def test_an_instance_that_cannot_be_deleted_is_named(self):
        done = self.take(FAKE_FAILS="cloudformation delete-stack")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("darkroom-image-cache", done.stderr)

    def test_what_is_there_already_is_used(self):
        answers = {"ec2 describe-snapshots": "snap-0bbbbbbbbbbbbbbbb"}
        done = self.take(FAKE_ANSWERS=json.dumps(answers))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.names(), [])
        self.assertIn("snapshot: snap-0bbbbbbbbbbbbbbbb", self.config.read_text())

    def test_a_second_run_at_the_same_time_is_refused_and_deletes_nothing(self):
        answers = {"cloudformation describe-stacks": "CREATE_IN_PROGRESS"}
        # The stand-in answers that the stack does not exist by default.
        done = self.take(FAKE_ANSWERS=json.dumps(answers), FAKE_STACK="there")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("somebody else", done.stderr)
        self.assertEqual(self.names(), [])

    def test_a_subnet_of_nobody_is_a_fault_before_anything_is_made(self):
        done = self.take(FAKE_ANSWERS=json.dumps({"ec2 describe-subnets": "None\tNone"}))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("--subnet", done.stderr)
        self.assertEqual(self.names(), [])

    def test_an_image_that_a_shell_would_read_otherwise_is_refused(self):
        done = self.take("--image", "x$(reboot)")
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(self.commands(), [])

    def test_a_dry_run_calls_nothing_and_names_everything(self):
        done = self.take("--dry-run")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.calls(), [])
        for operation in ("deploy", "send-command", "stop-instances", "create-snapshot", "delete-stack"):
            self.assertIn(operation, done.stderr)
        self.assertEqual(self.config.read_text(), CONFIG)

    def test_a_configuration_that_asks_for_a_snapshot_is_not_held_against_it(self):
        self.config.write_text(CONFIG + "imageCache: { mode: snapshot, initializationRate: 300 }  # small instances\n")
        done = self.take()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(
            "imageCache: { mode: snapshot, initializationRate: 300, snapshot: snap-0aaaaaaaaaaaaaaaa }  # small instances\n",
            self.config.read_text(),
        )
