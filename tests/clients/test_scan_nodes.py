"""The scan for nodes that open files, on small sources of both kinds of ComfyUI's nodes.

Usage: python3 -m unittest discover tests/clients
"""

import tempfile
import textwrap
import unittest
from pathlib import Path

import scan_nodes

CLASSIC = '''
    import os, glob, requests, folder_paths
    from PIL import Image
    from .helpers import read_everything

    class Loader:
        @classmethod
        def INPUT_TYPES(cls):
            files = os.listdir(folder_paths.get_input_directory())
            return {"required": {"image": (sorted(files), {"image_upload": True}), "ckpt": (["a"],), "text": ("STRING",)}}
        FUNCTION = "load"
        def load(self, image, ckpt, text):
            Image.open(folder_paths.get_annotated_filepath(image))
            return folder_paths.get_full_path("checkpoints", ckpt), text.upper()
        @classmethod
        def VALIDATE_INPUTS(cls, image):
            return True

    class Unchecked:
        FUNCTION = "load"
        @classmethod
        def INPUT_TYPES(cls):
            return {"required": {"image": (["a.png"], {"image_upload": True})}}
        def load(self, image):
            pass

    class Several:
        @classmethod
        def INPUT_TYPES(cls):
            return {
                "required": {"path": ("STRING", {}), "folder": ("STRING", {}), "pattern": ("STRING", {}), "prompt": ("STRING", {})},
                "optional": {"link": ("STRING", {}), "target": ("STRING", {}), "model": ("STRING", {}), "recording": ("AUDIO_RECORD", {})},
            }
        FUNCTION = "run"
        def run(self, path, folder, pattern, prompt, **kwargs):
            stripped = path.strip()
            for name in glob.glob(os.path.join(folder_paths.get_input_directory(), folder, "*")):
                pass
            glob.glob(pattern, recursive=True)
            address = kwargs.get("link")
            requests.get(address, params={"prompt": prompt})
            requests.post(f"https://api.example/{kwargs['model']}", json={"prompt": prompt})
            with open(kwargs["target"], "w") as file:
                file.write(prompt)
            folder_paths.get_annotated_filepath(kwargs["recording"])
            return self.inner(stripped)
        def inner(self, name):
            return read_everything(name)

    NODE_CLASS_MAPPINGS = {"My Loader": Loader, "Unchecked": Unchecked}
    NODE_CLASS_MAPPINGS["Several (mine)"] = Several
    NODE_CLASS_MAPPINGS.update({"Other": {"class": Several, "name": "x"}})
'''

HELPERS = '''
    def read_everything(name):
        full = name + ".txt"
        return open(full).read()
'''

CURRENT = '''
    from comfy_api.latest import io
    import folder_paths, os

    class Painter(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            return io.Schema(node_id="Paint", inputs=[
                io.String.Input("mask", default=""),
                io.Image.Input("image"),
                io.Combo.Input("file", options=[], upload=io.UploadType.video),
                io.Combo.Input("folder", options=folder_paths.get_input_subfolders()),
            ])
        @classmethod
        def execute(cls, mask, image, file, folder):
            path = folder_paths.get_annotated_filepath(mask)
        @classmethod
        def validate_inputs(cls, file):
            return True
'''

TYPES = '''
    import os, folder_paths, comfy, other
    from comfy.comfy_types import IO
    from .helpers import TEXT_TYPE, imageOrLatent, any_type

    SCALES = ["a", "b"]
    NAMES = ["a", "b"]
    NAMES.extend(os.listdir("."))

    class Everything:
        modes = ("c", "d")
        @classmethod
        def INPUT_TYPES(s):
            files, other_files = listed()
            return {"required": {
                "image": (IO.IMAGE,), "frames": (imageOrLatent,), "number": ("INT", {}), "sampler_name": (comfy.samplers.SAMPLERS,),
                "unknown": (other.THING,), "fixed": (["a", "b"],), "named": (SCALES,), "mode": (s.modes,),
                "both": (comfy.samplers.SAMPLERS + ["x"],), "options": (IO.COMBO, {"options": ["a", "b"]}),
                "text": (IO.STRING, {}), "words": (TEXT_TYPE,), "anything": (any_type,), "several": ("INT,STRING",),
                "file": (files,), "more": (["none"] + other_files,), "grown": (NAMES,), "filled": (["#placeholder"],),
                "checked": (["a", "b"],),
            }}
        FUNCTION = "run"
        @classmethod
        def VALIDATE_INPUTS(s, checked):
            return True
        def run(self, **kwargs):
            open(kwargs["image"] + kwargs["frames"] + kwargs["number"] + kwargs["sampler_name"] + kwargs["unknown"])
            open(kwargs["fixed"] + kwargs["named"] + kwargs["mode"] + kwargs["both"] + kwargs["options"])
            open(kwargs["text"] + kwargs["words"] + kwargs["anything"] + kwargs["several"] + kwargs["file"] + kwargs["more"])
            open(kwargs["grown"] + kwargs["filled"] + kwargs["checked"])
'''

TYPES_HELPERS = '''
    class MultiInput(str):
        pass
    TEXT_TYPE = "STRING"
    imageOrLatent = MultiInput("IMAGE", ["IMAGE", "LATENT"])
    any_type = MultiInput("*")
'''

CURRENT_TYPES = '''
    from comfy_api.latest import io as comfy_io, ComfyNode
    from enum import Enum

    class Size(str, Enum):
        small = "480p"

    class Base:
        @classmethod
        def validate_inputs(cls, **kwargs):
            """Optional."""
            raise NotImplementedError

    class Video(Base):
        @classmethod
        def define_schema(cls):
            return comfy_io.Schema(node_id="Video", inputs=[
                comfy_io.Custom("LUMA_REF").Input("luma"),
                comfy_io.Image.Input("image"),
                comfy_io.Combo.Input("resolution", options=["480p", "720p"]),
                comfy_io.Combo.Input("size", options=[size.value for size in Size]),
                comfy_io.Combo.Input("model", options=Size),
                comfy_io.Combo.Input("file", options=listed()),
                comfy_io.String.Input("path"),
                comfy_io.AnyType.Input("anything"),
                comfy_io.MultiType.Input("several", types=[comfy_io.String, comfy_io.Image]),
            ])
        @classmethod
        def execute(cls, luma, image, resolution, size, model, file, path, anything, several):
            for name in (luma, image, resolution, size, model, file, path, anything, several):
                open(name)
'''


class Scan(unittest.TestCase):
    def scanned(self, **files):
        with tempfile.TemporaryDirectory() as folder:
            for name, source in files.items():
                Path(folder, f"{name}.py").write_text(textwrap.dedent(source))
            found = scan_nodes.openers(scan_nodes.Source(folder))
            return {(class_name, name): takes for class_name, name, takes in found}

    def test_inputs_of_classic_nodes_are_followed_to_what_opens_them(self):
        several = {
            "path": "path", "folder": "folder", "pattern": "listing", "link": "url", "target": "save", "recording": "file",
        }
        expected = {("My Loader", "image"): "image", ("Unchecked", "image"): "file"}
        for class_name in ("Several (mine)", "Other"):
            expected.update({(class_name, name): takes for name, takes in several.items()})
        self.assertEqual(self.scanned(nodes=CLASSIC, helpers=HELPERS), expected)

    def test_inputs_of_current_nodes_are_followed_too(self):
        expected = {("Paint", "mask"): "file", ("Paint", "file"): "video", ("Paint", "folder"): "folder"}
        self.assertEqual(self.scanned(nodes=CURRENT), expected)

    def test_objects_numbers_and_fixed_choices_are_no_names(self):
        texts = ["text", "words", "anything", "several", "file", "more", "grown", "filled", "checked"]
        expected = {("Everything", name): "path" for name in texts}
        self.assertEqual(self.scanned(nodes=TYPES, helpers=TYPES_HELPERS), expected)

    def test_the_same_holds_for_current_nodes(self):
        expected = {("Video", name): "path" for name in ["file", "path", "anything", "several"]}
        self.assertEqual(self.scanned(nodes=CURRENT_TYPES), expected)

    def test_what_is_no_python_is_skipped_and_the_rest_is_scanned(self):
        self.assertIn(("Paint", "mask"), self.scanned(broken="def (", nodes=CURRENT))

    def test_a_source_is_named_as_it_names_itself(self):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "pyproject.toml").write_text('[project]\nname = "My-Nodes"\nversion = "1.2"\n')
            self.assertEqual(scan_nodes.Source(folder).label(), "my-nodes 1.2")


if __name__ == "__main__":
    unittest.main()
