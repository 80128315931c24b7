import pytest

from keras_imp._saving.structure import structure
from tests.helpers import named

pytestmark = pytest.mark.one_backend


def test_the_structure_leaves_out_the_optimizer():
    groups = structure(named.make_model(seed=1))
    assert not [path for path in groups if path.startswith("optimizer")]
    assert list(groups["head.objects/head"]) == ["0", "1"]


def test_the_structure_has_each_variable_once():
    model = named.make_model(seed=1)
    found = [
        id(value)
        for values in structure(model).values()
        for value in values.values()
    ]
    assert len(found) == len(set(found))
    assert {id(v) for v in model.trainable_variables} <= set(found)
