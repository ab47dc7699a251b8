"""What the inputs of ComfyUI nodes are for, by the types that their declarations name."""

import ast

# Types of inputs whose values may be texts: texts, choices, and anything.
TYPES = {"STRING", "COMBO", "*", ""}
# Where ComfyUI keeps the names of its types, and the names there that are not what they stand for.
TYPE_OWNERS = {"IO", "IOType", "io", "comfy_io"}
TYPE_NAMES = {"ANY": "*", "ANYTYPE": "*", "MULTICOMBO": "COMBO", "NUMBER": "FLOAT,INT", "PRIMITIVE": "STRING,FLOAT,INT,BOOLEAN"}
# Any other type, whose name does not matter.
NO_TEXT = "ANOTHER"
# Types whose values are numbers and objects of ComfyUI's, never names, whatever a node does with a variable of their name.
VALUES = {
    "INT", "FLOAT", "BOOLEAN", "IMAGE", "MASK", "LATENT", "MODEL", "CLIP", "VAE", "CONDITIONING", "CONTROL_NET", "CLIP_VISION",
    "AUDIO", "VIDEO", "SIGMAS", "SAMPLER", "NOISE", "GUIDER",
}
# Choices that stand in the source. ComfyUI refuses other values, unless the node checks its input by itself.
FIXED = "FIXED CHOICES"


def name_of(node):
    """The last name of `a.b.c` or `c`."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def owner_of(node):
    """The name before the last of `a.b.c`."""
    return name_of(node.value) if isinstance(node, ast.Attribute) else ""


def text(node):
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def method(node, name):
    found = (item for item in node.body if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return next((item for item in found if item.name == name), None)


def attribute(node, name):
    for item in node.body:
        if isinstance(item, ast.Assign) and any(name_of(target) == name for target in item.targets):
            return item.value
    return None


def keyword(call, name):
    return next((word.value for word in call.keywords if word.arg == name), None)


def declared_types(source, spec, names):
    """`STRING` of `("STRING", {...})`, whether it is written there, as `IO.STRING` or as a variable; see `types_of`."""
    if isinstance(spec, ast.Name) and len(names.get(spec.id, ())) == 1:
        spec = names[spec.id][0]
    first = spec.elts[0] if isinstance(spec, (ast.Tuple, ast.List)) and spec.elts else spec
    found = types_of(source, first, names)
    listed = isinstance(spec, (ast.Tuple, ast.List)) and next((e for e in spec.elts[1:] if isinstance(e, ast.Dict)), None)
    if found == {"COMBO"} and listed:
        options = next((value for key, value in zip(listed.keys, listed.values) if text(key) == "options"), None)
        return types_of(source, options, names) if options is not None else found
    return found


def schema_types(source, call, names):
    """The same of `io.String.Input(...)`."""
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    if isinstance(owner, ast.Call):
        # `io.Custom("TYPE").Input(...)`
        first = owner.args[0] if owner.args else None
        return {NO_TEXT} if first is None else types_of(source, first, names) - {""} or {NO_TEXT}
    kind = name_of(owner).upper()
    if kind == "MULTITYPE":
        return {name_of(node).upper() for node in ast.walk(call) if isinstance(node, ast.Attribute)} & TYPES or {NO_TEXT}
    kind = TYPE_NAMES.get(kind, kind)
    options = keyword(call, "options")
    return types_of(source, options, names) if kind == "COMBO" and options is not None else {kind}


def types_of(source, value, names, depth=0):
    """The types that a declaration names: `STRING`, nothing for choices that are known only when the code runs, `FIXED`
    for those that stand in the source, and a type of no text for what cannot be one of these."""
    def again(inner):
        return types_of(source, inner, names, depth + 1)

    if depth > 8:
        return {""}
    if text(value) is not None:
        return {one.strip().upper() for one in text(value).split(",")}
    if isinstance(value, (ast.List, ast.Tuple, ast.Set)):
        fixed = all(isinstance(inner, ast.Constant) or is_member(source, inner) for inner in value.elts)
        # One text is a placeholder for what the editor or another node puts there.
        placeholder = depth == 0 and len(value.elts) == 1 and text(value.elts[0]) is not None
        return {FIXED} if fixed and value.elts and not placeholder else {""}
    if isinstance(value, (ast.ListComp, ast.GeneratorExp)):
        return {FIXED} if name_of(value.generators[0].iter) in source.classes else {""}
    if isinstance(value, ast.BinOp):
        return {""} if "" in again(value.left) | again(value.right) else {FIXED}
    if isinstance(value, ast.IfExp):
        return again(value.body) | again(value.orelse)
    if isinstance(value, ast.Call):
        # `AnyType("*")`, whose class is a `str`, or a function that is given the type.
        first = value.args[0] if value.args else None
        classes = source.classes.get(name_of(value.func), [])
        is_type = any("str" in map(name_of, one.bases) for one in classes) and text(first) is not None
        return again(first) if is_type or owner_of(first) in TYPE_OWNERS else {""}
    if isinstance(value, ast.Attribute):
        if value.attr == "value":
            return again(value.value)
        if owner_of(value) in TYPE_OWNERS:
            name = value.attr.upper()
            return set(TYPE_NAMES.get(name, name).split(","))
        owner = owner_of(value)
        found = [attribute(one, value.attr) for one in source.classes.get(owner, [])]
        found += names.get(value.attr, []) if owner in ("s", "cls", "self") else []
    else:
        found = names.get(name_of(value), [])
    if not found and name_of(value) in source.classes:
        return {FIXED}
    types = set().union(*(again(inner) for inner in found if inner is not None))
    if FIXED in types and name_of(value) in source.grown:
        types.add("")
    if not types and name_of(value).lower().startswith("any"):
        return {"*"}
    return types or {NO_TEXT}


def is_member(source, value):
    """`Model.one` or `Model.one.value` of an enumeration of the checkout."""
    value = value.value if isinstance(value, ast.Attribute) and value.attr == "value" else value
    return owner_of(value) in source.classes


def outside_of_functions(tree):
    """The statements of a module that are in no function and in no class."""
    open_ = list(tree.body)
    while open_:
        node = open_.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            open_ += (child for child in ast.iter_child_nodes(node) if isinstance(child, (ast.stmt, ast.ExceptHandler)))


def assigned_in(nodes):
    """What names stand for, by all of their assignments among those nodes."""
    values = {}
    for node in nodes:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                for name in target.elts if isinstance(target, ast.Tuple) else [target]:
                    values.setdefault(name_of(name), []).append(node.value)
        elif isinstance(node, ast.For):
            values.setdefault(name_of(node.target), []).append(node.iter)
    return values
