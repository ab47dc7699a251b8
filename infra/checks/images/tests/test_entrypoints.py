"""What the runtimes are started with, by their entrypoints in a folder that stands for the container's root."""

import subprocess

from support import HERE, IMAGES, ScriptTest

MODEL = "sd_xl_base_1.0.safetensors"


class Entrypoints(ScriptTest):
    def start(self, image: str, *arguments: str, folders: tuple[str, ...] = (), **environment: str):
        """The entrypoint with its absolute paths moved into the test's folder."""
        for name in ("models/Stable-diffusion", "scratch", "opt/sdwebui/extensions", *(f"models/{f}" for f in folders)):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "models/Stable-diffusion" / MODEL).touch()
        (self.folder / "opt/sdwebui/settings.json").write_bytes((IMAGES / "sdwebui/settings.json").read_bytes())
        text = (IMAGES / image / "entrypoint").read_text()
        for root in ("/models", "/scratch", "/opt"):
            text = text.replace(root, f"{self.folder}{root}")
        path = f"{HERE / 'fake'}:/usr/bin:/bin"
        done = subprocess.run(["sh", "-c", text, "entrypoint", *arguments], env={"PATH": path, **environment},
                              capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout.replace(str(self.folder), "").splitlines(), done.stderr

    def test_sdwebui_wants_a_model_that_is_there(self):
        for environment in ({}, {"MODEL": ""}, {"MODEL": "other.safetensors"}):
            status, words, said = self.start("sdwebui", **environment)
            self.assertEqual((status, words), (64, []))
            self.assertIn("MODEL", said)

    def test_sdwebui_starts_as_an_api_with_it(self):
        status, words, said = self.start("sdwebui", MODEL=MODEL)
        self.assertEqual(status, 0, said)
        self.assertEqual(words[words.index("--ckpt") + 1], f"/models/Stable-diffusion/{MODEL}")
        self.assertEqual(words[words.index("--port") + 1], "8080")
        for option in ("--nowebui", "--api", "--listen", "--skip-prepare-environment", "--no-download-sd-model"):
            self.assertIn(option, words)

    def test_sdwebui_gets_the_folders_that_exist(self):
        _, words, _ = self.start("sdwebui", MODEL=MODEL, folders=("Lora", "VAE"))
        self.assertEqual(words[words.index("--lora-dir") + 1], "/models/Lora")
        self.assertEqual(words[words.index("--vae-dir") + 1], "/models/VAE")
        self.assertNotIn("--embeddings-dir", words)

    def test_sdwebui_goes_without_xformers_on_processors(self):
        for arguments in ("--use-cpu all --no-half", "--use-cpu SD", "--use-cpu interrogate sd", "--use-cpu=all", "--medvram --use-cpu=sd"):
            _, words, _ = self.start("sdwebui", *arguments.split(), MODEL=MODEL)
            self.assertNotIn("--xformers", words, arguments)
            self.assertEqual(words[-len(arguments.split()):], arguments.split())
        for arguments in ("", "--use-cpu interrogate", "--use-cpu=gfpgan", "--use-cpu esrgan --vae-path all", "--vae-path=sd"):
            _, words, _ = self.start("sdwebui", *arguments.split(), MODEL=MODEL)
            self.assertIn("--xformers", words, arguments)

    def test_sdcpp_wants_a_model_that_is_there(self):
        for environment in ({}, {"MODEL": ""}, {"MODEL": "other.safetensors"}):
            status, words, said = self.start("sdcpp", **environment)
            self.assertEqual((status, words), (64, []))
            self.assertIn("MODEL", said)

    def test_sdcpp_starts_with_it_and_with_folders_that_are_there(self):
        status, words, said = self.start("sdcpp", MODEL=MODEL, folders=("Lora",))
        self.assertEqual(status, 0, said)
        self.assertEqual(words[words.index("--model") + 1], f"/models/Stable-diffusion/{MODEL}")
        self.assertEqual(words[words.index("--listen-port") + 1], "8080")
        self.assertEqual(words[words.index("--lora-model-dir") + 1], "/models/Lora")
        self.assertNotIn("--embd-dir", words)
        # The port opens once the model is loaded.
        self.assertIn("--eager-load", words)

    def test_sdwebui_never_fetches_for_a_caller(self):
        self.start("sdwebui", MODEL=MODEL)
        settings = (self.folder / "scratch/config.json").read_text()
        self.assertIn('"api_enable_requests": false', settings)

    def test_arguments_come_last_so_that_they_win(self):
        for image in ("sdwebui", "comfyui", "sdcpp"):
            _, words, _ = self.start(image, "--medvram-sdxl", "a b", MODEL=MODEL)
            self.assertEqual(words[-2:], ["--medvram-sdxl", "a b"])

    def test_comfyui_writes_in_scratch_only(self):
        status, words, said = self.start("comfyui")
        self.assertEqual(status, 0, said)
        for option in ("--input-directory", "--output-directory", "--user-directory"):
            folder = words[words.index(option) + 1]
            self.assertTrue(folder.startswith("/scratch/"))
            self.assertTrue((self.folder / folder[1:]).is_dir(), folder)
        # ComfyUI adds `temp` to it. The worker deletes what is left there.
        self.assertEqual(words[words.index("--temp-directory") + 1], "/scratch")
        self.assertEqual(words[words.index("--database-url") + 1], "sqlite:////scratch/user/comfyui.db")

    def test_comfyui_is_told_only_what_its_version_knows(self):
        old, new = "usage: main.py [--disable-api-nodes]", "--disable-assets --cache-ram --offline --disabled-nodes-config PATH"
        _, words, _ = self.start("comfyui", KNOWN=old)
        self.assertIn("--disable-api-nodes", words)
        for option in ("--disable-assets", "--offline", "--cache-ram", "--disabled-nodes-config"):
            self.assertNotIn(option, words)
        _, words, _ = self.start("comfyui", KNOWN=new)
        for option in ("--disable-assets", "--offline"):
            self.assertIn(option, words)
        for option in ("--disable-api-nodes", "--cache-ram", "--disabled-nodes-config"):
            self.assertNotIn(option, words)

    def test_comfyui_is_not_said_to_know_an_option_that_only_begins_like_one(self):
        _, words, _ = self.start("comfyui", KNOWN="[--disable-assets-scan]\n[--offline-mode]")
        self.assertEqual({"--disable-assets", "--offline"} & set(words), set())
        _, words, _ = self.start("comfyui", KNOWN="[--disable-assets]\n[--offline]")
        self.assertEqual({"--disable-assets", "--offline"} - set(words), set())

    def test_comfyui_leaves_memory_free_where_it_can(self):
        _, words, _ = self.start("comfyui", KNOWN="--cache-ram", CACHE_RAM_GB="8")
        self.assertEqual(words[words.index("--cache-ram") + 1], "8")
        status, words, said = self.start("comfyui", KNOWN="", CACHE_RAM_GB="8")
        self.assertEqual((status, "--cache-ram" in words), (0, False))
        self.assertIn("CACHE_RAM_GB", said)

    def test_comfyui_has_partner_nodes_only_if_asked_for(self):
        _, words, _ = self.start("comfyui", KNOWN="--offline", PARTNER_NODES="true")
        self.assertEqual({"--offline", "--disable-api-nodes"} & set(words), set())

    def test_comfyui_goes_without_disabled_nodes_or_does_not_start(self):
        nodes = "LoadVideoDataSetFromFolder, It's ,\tA B"
        _, words, _ = self.start("comfyui", KNOWN="--disabled-nodes-config", DISABLED_NODES=nodes)
        file = words[words.index("--disabled-nodes-config") + 1]
        said = (self.folder / file[1:]).read_text()
        self.assertEqual(said, "disabled_nodes:\n  - 'LoadVideoDataSetFromFolder'\n  - 'It''s'\n  - 'A B'\n")
        status, words, said = self.start("comfyui", KNOWN="", DISABLED_NODES=nodes)
        self.assertEqual((status, words), (64, []))
        self.assertIn("DISABLED_NODES", said)
