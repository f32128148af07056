"""Documents that have a chance.

A value that is made up from its type alone is mostly refused for what the type does not say: a key that is empty, a cursor
that leads nowhere, an order by two properties at once. Whatever lies behind that would never be reached. So what is known
to be refused is replaced in most documents; all the rest of them stays made up.
"""

import collections
import random

import graphql

# What was learned last is kept, and no more than that.
KEPT = 16
# The fields of an answer that hold cursors.
PLACES = ("cursor", "startCursor", "endCursor")


class Found:
    """What answers have shown that further requests can name."""

    def __init__(self, ids):
        self.ids = {kind: collections.deque([known], maxlen=KEPT) for kind, known in ids.items()}
        self.cursors = collections.deque(maxlen=KEPT)

    def note(self, kind, name, value):
        """Notes the value of a field of an answer."""
        if name == "id" and kind in self.ids and value not in self.ids[kind]:
            self.ids[kind].append(value)
        elif name in PLACES and value is not None:
            self.cursors.append(value)

    def an_id(self, chance, of):
        """An instance of the kind that a name speaks of, as in categoryId and updateProduct."""
        kinds = [kind for kind in self.ids if kind.lower() in of.lower()]
        return chance.choice(self.ids[chance.choice(kinds or list(self.ids))])

    def a_cursor(self, chance):
        """The place of a row, if one has been shown."""
        return chance.choice(self.cursors) if self.cursors else None


def made(document, found, seed):
    """The document with values that are not refused at once."""
    return graphql.visit(document, _Likely(found, random.Random(seed)))


def _with(node, **changes):
    return type(node)(**{**{key: getattr(node, key) for key in node.keys}, **changes})


def _text(value):
    return graphql.StringValueNode(value=value)


def _whole(value):
    return graphql.IntValueNode(value=str(value))


class _Likely(graphql.Visitor):
    def __init__(self, found, chance):
        super().__init__()
        self.found, self.chance, self.field = found, chance, ""

    def enter_field(self, node, *_):
        self.field = node.name.value
        # Only one of these can be meant, and a cursor is of the order in which it was shown.
        given = {argument.name.value: argument for argument in node.arguments}
        left_out = {self.chance.choice(("first", "last"))} if {"first", "last"} <= given.keys() else set()
        if {"after", "before"} & given.keys():
            left_out.add(self.chance.choice(("after", "before")))
            left_out.add("orderBy")
        kept = [self._argument(argument) for name, argument in given.items() if name not in left_out]
        return _with(node, arguments=tuple(argument for argument in kept if argument is not None))

    def _argument(self, argument):
        value = self._value(argument.name.value, argument.value)
        return None if value is None else _with(argument, value=value)

    def enter_object_field(self, node, *_):
        value = self._value(node.name.value, node.value)
        return _with(node, value=graphql.NullValueNode() if value is None else value)

    def _value(self, name, value):
        """What is given instead of a value; none leaves it out."""
        chance = self.chance
        if isinstance(value, graphql.NullValueNode):
            return value
        match name:
            case "idempotencyKey":
                return _text(f"key-{chance.getrandbits(64):x}") if chance.random() < 0.3 else None
            case "expectedRevision":
                return _whole(chance.randint(0, 3)) if chance.random() < 0.3 else None
            case "minPosition":
                return _whole(chance.randint(0, 3)) if chance.random() < 0.3 else None
            case "after" | "before":
                cursor = self.found.a_cursor(chance)
                return None if cursor is None else _text(cursor)
            case "first" | "last" | "limit" | "page":
                return _whole(chance.randint(1, 20))
            case "offset":
                return _whole(chance.randint(0, 5))
            case "id" | "categoryId" | "userAccountId" if isinstance(value, graphql.StringValueNode):
                return _text(self.found.an_id(chance, self.field if name == "id" else name))
            case "orderBy" if isinstance(value, graphql.ListValueNode):
                return _with(value, values=tuple(filter(None, map(self._one_of, value.values))))
            case "by" if isinstance(value, graphql.ListValueNode):
                distinct = {each.value: each for each in value.values if isinstance(each, graphql.EnumValueNode)}
                return _with(value, values=tuple(distinct.values())[:4]) if distinct else value
            case "emailAddress" if isinstance(value, graphql.StringValueNode):
                return _text(f"{chance.getrandbits(32):x}@example.com")
            case "price" if not isinstance(value, graphql.ObjectValueNode):
                return _text(f"{chance.randint(0, 10**6)}.{chance.randint(0, 99):02}")
            case "name" | "firstName" | "lastName" | "searchTerm" if isinstance(value, graphql.StringValueNode):
                return value if value.value.isprintable() and value.value.strip() else _text(f"a{chance.randint(0, 99)}")
        return value

    def _one_of(self, order):
        """One property of an order, as each has to be."""
        given = [field for field in order.fields if isinstance(field.value, graphql.EnumValueNode)]
        return _with(order, fields=(self.chance.choice(given),)) if given else None
