"""Finds the inputs of ComfyUI nodes by which a caller names files, folders or addresses.

    python3 tests/clients/scan_nodes.py DIRECTORY... > shared-schema/src/runtimes/comfyui/openers.tsv

Each DIRECTORY is a checkout of ComfyUI or of an extension. Nothing of it is run: its Python is parsed, and the values of
node inputs are followed through assignments and calls within the checkout to what opens, lists, fetches or writes. Nodes
are the classes that `NODE_CLASS_MAPPINGS` names and those with a `Schema(node_id=...)`.

The output is sorted, one input a line: class, input, what it takes, and the checkouts that say so:

    image, video, audio   a file of that kind, which an upload can provide
    file, folder          within one of ComfyUI's folders
    path, listing         a file or a folder, from wherever the node was started
    url                   an address that the node fetches
    save                  a place to write to
"""

import ast
import re
import sys
from pathlib import Path

from scan_types import (
    FIXED, TYPES, VALUES, assigned_in, attribute, declared_types, keyword, method, name_of, outside_of_functions, owner_of,
    schema_types, text,
)

SKIPPED = {".git", ".venv", "tests", "tests-unit", "test", "node_modules", "web", "js"}
MAX_CALL_DEPTH = 6

UPLOADS = {
    "image_upload": "image", "animated_image_upload": "image", "video_upload": "video", "audio_upload": "audio",
    "file_upload": "file", "image_folder": "image",
}
UPLOAD_TYPES = {"image": "image", "video": "video", "audio": "audio", "model": "file"}
OPENS = {
    "open", "imread", "VideoCapture", "from_file", "read_text", "read_bytes", "safe_open", "load_file", "load_torch_file",
    "fromfile", "loadtxt", "genfromtxt", "VideoFromFile", "AudioSegment", "get_reader", "mimread", "Popen", "run",
    "check_output", "check_call", "copyfile", "copy2", "read_csv", "isfile_open", "imopen", "imiter", "File3D",
}
LOADERS = {"np", "numpy", "torch", "torchaudio", "librosa", "soundfile", "sf", "trimesh", "imageio", "iio", "cv2", "av"}
LISTS = {"listdir", "scandir", "walk", "glob", "iglob", "rglob", "iterdir"}
FETCHES = {"urlopen", "urlretrieve", "download_url_to_file", "load_file_from_url"}
HTTP = {"requests", "httpx", "session", "aiohttp", "client"}
HTTP_VERBS = {"get", "post", "put", "head", "request", "stream", "ws_connect"}
WRITES = {"makedirs", "mkdir", "write_text", "write_bytes", "imwrite", "save", "savez", "save_file", "rename", "replace_file"}
ANNOTATED = {"get_annotated_filepath", "exists_annotated_filepath", "annotated_filepath"}
BASES = re.compile(r"get_(input|output|temp|user|annotated|save)_\w*|get_(input|output|temp)_directory|get_directory_by_type")
# Names looked up in folders of models, or of no file at all.
HARMLESS = {
    "get_full_path", "get_full_path_or_raise", "get_filename_list", "get_save_image_path", "len", "int", "float", "bool",
    "isinstance", "hash", "print", "info", "debug", "warning", "error", "sha256", "getLogger", "range", "basename",
}


class Source:
    """One checkout, parsed."""

    def __init__(self, root):
        self.root = Path(root)
        self.functions, self.classes, self.names = {}, {}, {}
        # What names stand for outside of functions and classes, and which names of lists more is added to.
        self.globals, self.grown = {}, set()
        for path in sorted(self.root.rglob("*.py")):
            if SKIPPED.isdisjoint(path.relative_to(self.root).parts[:-1]):
                self.read(path)

    def label(self):
        """Name and version, as the checkout states them."""
        project = self.root / "pyproject.toml"
        stated = project.read_text(errors="replace") if project.exists() else ""
        found = {key: re.search(rf'^{key}\s*=\s*["\']([^"\']+)', stated, re.M) for key in ("name", "version")}
        name = found["name"].group(1) if found["name"] else self.root.name
        version = found["version"].group(1) if found["version"] else "unknown"
        return f"{name.lower()} {version}"

    def read(self, path):
        try:
            tree = ast.parse(path.read_text(encoding="utf-8-sig", errors="replace"))
        except (SyntaxError, ValueError, RecursionError) as error:
            print(f"skipped {path}: {error}", file=sys.stderr)
            return
        for name, values in assigned_in(outside_of_functions(tree)).items():
            self.globals.setdefault(name, []).extend(values)
        for node in ast.walk(tree):
            if isinstance(node, ast.AugAssign):
                self.grown.add(name_of(node.target))
            elif isinstance(node, ast.Call) and name_of(node.func) in ("append", "extend", "insert", "update"):
                self.grown.add(owner_of(node.func))
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self.functions.setdefault(node.name, []).append(node)
            elif isinstance(node, ast.ClassDef):
                self.classes.setdefault(node.name, []).append(node)
            elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    self.mapping(target, node.value)
            elif isinstance(node, ast.Call) and name_of(node.func) == "update" and node.args:
                self.mapping(node.func.value, node.args[0])

    def mapping(self, target, value):
        """Entries of dictionaries that name node classes."""
        if isinstance(target, ast.Subscript) and "CLASS_MAPPINGS" in name_of(target.value):
            self.named(target.slice, value)
        elif "CLASS_MAPPINGS" in name_of(target) or "NODE_CONFIG" in name_of(target):
            for entry in ast.walk(value) if value else []:
                if isinstance(entry, ast.Dict):
                    for key, inner in zip(entry.keys, entry.values):
                        self.named(key, inner)

    def named(self, key, value):
        name = text(key)
        if name == "class":
            return
        if isinstance(value, ast.Dict):
            value = next((v for k, v in zip(value.keys, value.values) if text(k) == "class"), None)
        if name and isinstance(value, (ast.Name, ast.Attribute)):
            self.names.setdefault(name_of(value), set()).add(name)

    def nodes(self):
        """Each node: its names and its class."""
        for class_name, classes in self.classes.items():
            for node in classes:
                schema = self.schema(node)
                if schema and text(keyword(schema, "node_id")):
                    yield {text(keyword(schema, "node_id"))}, node
                elif class_name in self.names:
                    yield self.names[class_name], node
                elif not schema and method(node, "INPUT_TYPES") and attribute(node, "FUNCTION"):
                    # Mapped in some way that is not seen here, or a base class.
                    yield {text(attribute(node, "NAME")) or class_name}, node

    def schema(self, node):
        define = method(node, "define_schema")
        calls = (call for call in ast.walk(define) if isinstance(call, ast.Call)) if define else ()
        return next((call for call in calls if name_of(call.func) == "Schema"), None)

    def bases(self, node):
        """A class and those of the checkout that it inherits from, nearest first."""
        seen, open_ = [], [node]
        while open_ and len(seen) < 10:
            current = open_.pop(0)
            if current not in seen:
                seen.append(current)
                open_ += [base for name in map(name_of, current.bases) for base in self.classes.get(name, [])[:1]]
        return seen


def inputs(source, node):
    """The inputs of a node, each with what its declaration says that it takes; and the types of its values."""
    found, types = {}, {}
    for owner in source.bases(node):
        own = {}
        for define in filter(None, (method(owner, "INPUT_TYPES"), method(owner, "define_schema"))):
            assigned = assigned_in(ast.walk(define))
            names = dict(source.globals)
            for base in reversed(source.bases(owner)):
                names.update(assigned_in(base.body))
            names.update(assigned)
            if define.name == "INPUT_TYPES":
                for entry in (entry for entry in ast.walk(define) if isinstance(entry, ast.Dict)):
                    for key, value in zip(entry.keys, entry.values):
                        if text(key) in ("required", "optional") and isinstance(value, ast.Dict):
                            for name, spec in zip(value.keys, value.values):
                                if text(name):
                                    found.setdefault(text(name), declared(spec, assigned))
                                    own.setdefault(text(name), set()).update(declared_types(source, spec, names))
            else:
                for call in (call for call in ast.walk(define) if isinstance(call, ast.Call)):
                    name = text(call.args[0]) if call.args else text(keyword(call, "id"))
                    if name and name_of(call.func) == "Input":
                        found.setdefault(name, declared(call, assigned))
                        own.setdefault(name, set()).update(schema_types(source, call, names))
        # A class says anew what its bases say.
        types = {**own, **types}
    return found, types


def declared(spec, assigned):
    """What flags of uploads, and lists of ComfyUI's folders, say that an input takes."""
    for node in ast.walk(spec):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values):
                if text(key) in UPLOADS and getattr(value, "value", True) not in (False, None):
                    return UPLOADS[text(key)]
        elif isinstance(node, ast.keyword) and node.arg == "upload":
            return UPLOAD_TYPES.get(name_of(node.value).lower(), "file")
        elif isinstance(node, ast.keyword) and node.arg == "image_folder":
            return "image"
    names, open_, calls = set(), [spec], set()
    while open_:
        for node in ast.walk(open_.pop()):
            if isinstance(node, ast.Call):
                calls.add(name_of(node.func))
            if isinstance(node, ast.Name) and node.id in assigned and node.id not in names:
                names.add(node.id)
                open_ += assigned[node.id]
    if "get_input_subfolders" in calls:
        return "folder"
    return "file" if calls & {"get_input_directory", "get_output_directory", "get_temp_directory"} else None


class Flow:
    """Follows the inputs of one node."""

    def __init__(self, source, node):
        self.source, self.methods = source, {}
        for owner in reversed(source.bases(node)):
            self.methods.update({item.name: item for item in owner.body if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef))})
        self.found, self.seen = {}, set()

    def follow(self, function, tainted, depth=0):
        """`tainted` maps names of a function to the inputs in them; yields the inputs that it returns."""
        key = (id(function), tuple(sorted((name, tuple(sorted(value))) for name, value in tainted.items())))
        if depth > MAX_CALL_DEPTH or key in self.seen:
            return set().union(*tainted.values()) if tainted else set()
        self.seen.add(key)
        scope, based = dict(tainted), set()
        nodes = list(ast.walk(function))
        for _ in range(3):
            before = {name: set(value) for name, value in scope.items()}
            for node in nodes:
                self.assign(node, scope, based)
            if before == scope:
                break
        returned = set()
        for node in nodes:
            if isinstance(node, ast.Call):
                self.call(node, scope, based, depth)
            elif isinstance(node, ast.Return) and node.value:
                returned |= self.inputs_in(node.value, scope)
        return returned

    def assign(self, node, scope, based):
        pairs = []
        if isinstance(node, ast.Assign):
            pairs = [(target, node.value) for target in node.targets]
        elif isinstance(node, (ast.AugAssign, ast.AnnAssign, ast.NamedExpr)) and node.value:
            pairs = [(node.target, node.value)]
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            pairs = [(node.target, node.iter)]
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            pairs = [(item.optional_vars, item.context_expr) for item in node.items if item.optional_vars]
        for target, value in pairs:
            inputs = self.inputs_in(value, scope)
            targets = [name_of(inner) for inner in ast.walk(target) if isinstance(inner, (ast.Name, ast.Attribute))]
            if isinstance(target, ast.Subscript):
                targets = [name_of(target.value)]
            for name in filter(None, targets):
                if inputs and name != "self":
                    scope.setdefault(name, set()).update(inputs)
                if self.is_based(value, based):
                    based.add(name)

    def is_based(self, value, based):
        """Whether a path begins in one of ComfyUI's folders."""
        if isinstance(value, ast.Call) and name_of(value.func) in ("join", "Path", "abspath", "normpath", "realpath", "str"):
            return bool(value.args) and self.is_based(value.args[0], based)
        if isinstance(value, ast.BinOp):
            return self.is_based(value.left, based)
        if isinstance(value, ast.JoinedStr) and value.values and isinstance(value.values[0], ast.FormattedValue):
            return self.is_based(value.values[0].value, based)
        if isinstance(value, ast.Call):
            return bool(BASES.match(name_of(value.func)))
        return name_of(value) in based or "input_dir" in name_of(value)

    def inputs_in(self, value, scope):
        """The inputs that a value is made of."""
        if isinstance(value, ast.Call) and name_of(value.func) in HARMLESS:
            return set()
        # What is put into requests, tables and objects is data, not where they go.
        if isinstance(value, (ast.Compare, ast.Dict)) or (isinstance(value, ast.Call) and makes_object(value)):
            return set()
        if isinstance(value, (ast.Name, ast.Attribute)) and name_of(value) in scope:
            return scope[name_of(value)]
        if isinstance(value, ast.Subscript) and name_of(value.value) in scope and text(value.slice) is not None:
            inputs = scope[name_of(value.value)]
            return {text(value.slice)} if "**" in inputs else inputs
        if isinstance(value, ast.Call) and name_of(value.func) in ("get", "pop") and value.args and text(value.args[0]):
            if "**" in scope.get(owner_of(value.func), ()):
                return {text(value.args[0])}
        found = set()
        for child in ast.iter_child_nodes(value):
            found |= self.inputs_in(child, scope)
        return found

    def call(self, call, scope, based, depth):
        name, owner = name_of(call.func), owner_of(call.func)
        if name in HARMLESS:
            return
        first = call.args[0] if call.args else next((word.value for word in call.keywords), None)
        receiver = call.func.value if isinstance(call.func, ast.Attribute) else None
        named = self.inputs_in(first, scope) if first is not None else set()
        within = first is not None and self.is_based(first, based)
        if receiver is not None and name in LISTS | {"read_text", "read_bytes", "write_text", "write_bytes", "mkdir", "open"}:
            on_path = self.inputs_in(receiver, scope)
            if on_path and owner not in ("Image", "os", "av", "wave", "tarfile", "zipfile", "io", "codecs"):
                named, within = on_path | (named if name in LISTS else set()), self.is_based(receiver, based)
        if name in ANNOTATED:
            self.note(named, "annotated")
        elif name in LISTS:
            self.note(named, "folder" if within else "listing")
        elif name in FETCHES or (name in HTTP_VERBS and owner in HTTP):
            url = keyword(call, "url") or (call.args[1] if name == "request" and len(call.args) > 1 else first)
            if url is not None and not begins_fixed(url):
                self.note(self.inputs_in(url, scope), "url")
        elif name in WRITES or (name == "open" and writes(call)):
            self.note(named, "save")
        elif name in OPENS or (name == "load" and owner in LOADERS):
            self.note(named, "file" if within else "path")
        self.into(call, name, scope, depth)

    def into(self, call, name, scope, depth):
        """Into functions of the same checkout."""
        own = isinstance(call.func, ast.Attribute) and owner_of(call.func) in ("self", "cls", "s")
        candidates = [self.methods[name]] if own and name in self.methods else self.source.functions.get(name, [])
        if len(candidates) > 3:
            return
        for function in candidates:
            names = [argument.arg for argument in function.args.posonlyargs + function.args.args]
            if names[:1] in (["self"], ["cls"], ["s"]):
                names = names[1:]
            passed = {parameter: self.inputs_in(value, scope) for parameter, value in zip(names, call.args)}
            passed.update({word.arg: self.inputs_in(word.value, scope) for word in call.keywords if word.arg})
            passed = {parameter: inputs for parameter, inputs in passed.items() if inputs}
            if passed:
                self.follow(function, passed, depth + 1)

    def note(self, inputs, takes):
        for name in inputs:
            self.found.setdefault(name, set()).add(takes)


def makes_object(call):
    """Whether a call makes an object of a class, by the way it is named; paths are no such objects."""
    name = name_of(call.func)
    return name[:1].isupper() and name not in OPENS | {"Path", "PurePath"}


def begins_fixed(url):
    """Whether an address begins with a text of the node's own, so that a caller chooses a part of it only."""
    if isinstance(url, ast.JoinedStr) and url.values:
        url = url.values[0]
    while isinstance(url, ast.BinOp):
        url = url.left
    return bool(re.match(r"https?://[^/]", text(url) or ""))


def writes(call):
    mode = call.args[1] if len(call.args) > 1 else keyword(call, "mode")
    return bool(set(text(mode) or "") & set("wax"))


ORDER = ["image", "video", "audio", "url", "listing", "path", "folder", "file", "save"]
RUN_BY = ["execute", "VALIDATE_INPUTS", "IS_CHANGED", "validate_inputs", "fingerprint_inputs"]


def openers(source):
    """Each input that names something: class, input, what it takes."""
    for names, node in source.nodes():
        declared_inputs, types = inputs(source, node)
        entry = next(filter(None, (attribute(owner, "FUNCTION") for owner in source.bases(node))), None)
        run = [text(entry) if entry else None, *RUN_BY]
        checked = checked_by_itself(source, node)
        texts = TYPES | {FIXED} if checked is None else TYPES
        odd = {name for name in declared_inputs if not types[name] & texts and not (FIXED in types[name] and name in checked)}
        found = followed(source, node, declared_inputs.keys() - odd, run)
        # Values of other types are objects nearly always, so that only what looks them up as names counts.
        looked_up = followed(source, node, {name for name in odd if not types[name] <= VALUES}, run)
        found.update({name: {"file"} for name, takes in looked_up.items() if "annotated" in takes})
        for name, takes in declared_inputs.items():
            seen = {"file" if one == "annotated" else one for one in found.get(name, set()) | {takes} - {None}}
            if takes in ("image", "video", "audio") and checked is not None and name not in checked:
                # ComfyUI refuses what is not in its list, so that an upload to a folder of its own is of no use.
                seen = seen - {takes} | {"file"}
            if seen and (name not in odd or name in found or takes):
                best = min(seen, key=ORDER.index)
                for class_name in names:
                    yield class_name, name, best


def checked_by_itself(source, node):
    """Which inputs a node checks in place of ComfyUI (`None`: all of them)."""
    methods = Flow(source, node).methods
    named = [methods[name] for name in ("VALIDATE_INPUTS", "validate_inputs") if name in methods]
    # That of ComfyUI's own base class only raises, and is never called.
    checks = [check for check in named if not only_raises(check)]
    return None if any(check.args.kwarg for check in checks) else {name.arg for check in checks for name in check.args.args}


def only_raises(function):
    return all(isinstance(one, ast.Raise) or (isinstance(one, ast.Expr) and text(one.value)) for one in function.body)


def followed(source, node, names, run):
    """Where these inputs go."""
    flow = Flow(source, node)
    for function in filter(None, map(flow.methods.get, run)):
        parameters = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
        tainted = {argument.arg: {argument.arg} for argument in parameters if argument.arg in names}
        if function.args.kwarg:
            tainted[function.args.kwarg.arg] = {"**"}
        flow.follow(function, tainted)
    return {name: takes for name, takes in flow.found.items() if name in names}


def main(directories):
    rows, labels = {}, []
    for directory in directories:
        source = Source(directory)
        labels.append(source.label())
        for class_name, name, takes in openers(source):
            row = rows.setdefault((class_name, name), (set(), set()))
            row[0].add(takes)
            row[1].add(source.label().split()[0])
    print("# Inputs of ComfyUI nodes that name files, folders or addresses. Made by tests/clients/scan_nodes.py from:")
    for label in sorted(labels):
        print(f"# {label}")
    for (class_name, name), (takes, sources) in sorted(rows.items()):
        print(class_name, name, min(takes, key=ORDER.index), ",".join(sorted(sources)), sep="\t")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
