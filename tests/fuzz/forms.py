"""Other forms of the same document: names of its own for fields, fragments, fields that are asked for twice, directives.

Documents that are made up from a schema have none of these, and what people write is full of them.
"""

import random

import graphql

ALIASED, DOUBLED, WRAPPED, TOLD, TYPED = 0.1, 0.1, 0.2, 0.1, 0.1


def varied(document, seed):
    """The document in another form. What stands at the top keeps its name: Schemathesis looks for it in answers."""
    return graphql.visit(document, _Varied(random.Random(seed)))


def _name(value):
    return graphql.NameNode(value=value)


def _with(node, **changes):
    return type(node)(**{**{key: getattr(node, key) for key in node.keys}, **changes})


class _Varied(graphql.Visitor):
    def __init__(self, chance):
        super().__init__()
        self.chance, self.names = chance, 0

    def happens(self, likelihood):
        return self.chance.random() < likelihood

    def leave_field(self, node, _key, _parent, _path, ancestors):
        # The document, its definitions, the operation, its selections, and those again.
        is_top = not any(isinstance(ancestor, graphql.FieldNode) for ancestor in ancestors)
        if is_top:
            return None
        if self.happens(ALIASED):
            self.names += 1
            node = _with(node, alias=_name(f"a{self.names}"))
        return _with(node, directives=self._directives())

    def leave_selection_set(self, node, _key, parent, *_):
        selections = list(node.selections)
        if not isinstance(parent, graphql.FieldNode):
            return None
        if self.happens(TYPED):
            selections.insert(self.chance.randint(0, len(selections)), graphql.FieldNode(name=_name("__typename")))
        if self.happens(DOUBLED):
            selections.append(self.chance.choice(selections))
        if self.happens(WRAPPED):
            first = self.chance.randrange(len(selections))
            rest = graphql.SelectionSetNode(selections=tuple(selections[first:]))
            selections[first:] = [graphql.InlineFragmentNode(selection_set=rest, directives=self._directives())]
        return _with(node, selections=tuple(selections))

    def _directives(self):
        """None as a rule; else one that leaves out what it stands at, or does not."""
        if not self.happens(TOLD):
            return ()
        name, value = self.chance.choice(("include", "skip")), self.chance.choice((True, False))
        condition = graphql.ArgumentNode(name=_name("if"), value=graphql.BooleanValueNode(value=value))
        return (graphql.DirectiveNode(name=_name(name), arguments=(condition,)),)
