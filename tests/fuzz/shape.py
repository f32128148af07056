"""Whether the data of an answer is what the schema promises for a document."""

import datetime

import graphql

SCALARS = {
    "ID": lambda value: isinstance(value, str),
    "String": lambda value: isinstance(value, str),
    "Boolean": lambda value: isinstance(value, bool),
    "Int": lambda value: type(value) is int and -(2**31) <= value < 2**31,
    "Float": lambda value: type(value) in (int, float),
    "BigInt": lambda value: type(value) is int and -(2**63) <= value < 2**63,
    # Answers are read with decimals as they are written.
    "Decimal": lambda value: type(value) in (int, float),
    "DateTime": lambda value: datetime.datetime.fromisoformat(value).tzinfo is not None,
    "JSON": lambda value: True,
}


def check(schema, document, data, note):
    """Holds the data against the schema, and notes what its fields hold. Null may stand only where the schema allows it,
    whatever failed."""
    operation = graphql.parse(document).definitions[0]
    root = schema.mutation_type if operation.operation is graphql.OperationType.MUTATION else schema.query_type
    _object(schema, root, [operation.selection_set], data, note, operation.operation.value)


def _object(schema, kind, selection_sets, data, note, path):
    assert isinstance(data, dict), f"{path} is {data!r}, and must be a {kind}"
    fields = {}
    for selection_set in selection_sets:
        _collect(schema, kind, selection_set, fields)
    assert list(data) == list(fields), f"{path} has {list(data)}, and {list(fields)} was asked for"
    for key, asked in fields.items():
        name, below = asked[0].name.value, [field.selection_set for field in asked if field.selection_set]
        if name == "__typename":
            assert data[key] == kind.name, f"{path}.{key} is {data[key]!r}, and must be {kind}"
        else:
            note(kind.name, name, data[key])
            _value(schema, kind.fields[name].type, below, data[key], note, f"{path}.{key}")


def _collect(schema, kind, selection_set, fields):
    for selection in filter(_is_asked, selection_set.selections):
        if isinstance(selection, graphql.FieldNode):
            key = selection.alias.value if selection.alias else selection.name.value
            fields.setdefault(key, []).append(selection)
        else:
            on = selection.type_condition
            if on is None or on.name.value == kind.name:
                _collect(schema, kind, selection.selection_set, fields)


def _is_asked(selection):
    """Whether no directive leaves it out."""
    conditions = {directive.name.value: directive.arguments[0].value.value for directive in selection.directives or ()}
    return conditions.get("include", True) and not conditions.get("skip", False)


def _value(schema, kind, below, value, note, path):
    if graphql.is_non_null_type(kind):
        assert value is not None, f"{path} is null, and must be a {kind}"
        kind = kind.of_type
    if value is None:
        return
    if graphql.is_list_type(kind):
        assert isinstance(value, list), f"{path} is {value!r}, and must be a {kind}"
        for at, item in enumerate(value):
            _value(schema, kind.of_type, below, item, note, f"{path}.{at}")
    elif graphql.is_object_type(kind):
        _object(schema, kind, below, value, note, path)
    elif graphql.is_enum_type(kind):
        assert value in kind.values, f"{path} is {value!r}, and must be a {kind}"
    else:
        assert SCALARS[kind.name](value), f"{path} is {value!r}, and must be a {kind}"
