"""Published accuracies: each with a source, each of a plausible size, each of a net."""

from striate.nets import list_models
from striate.nets.accuracies import accuracy_of_weights, published_accuracies
from striate.nets.weights.published import PUBLISHED


def test_every_figure_has_its_source_and_is_possible():
    for name, accuracy in published_accuracies().items():
        assert accuracy.source, name
        assert 0.5 < (accuracy.top1 or 0.6) < accuracy.top5 < 1, name
        assert accuracy.protocol.split()[1].startswith("crop"), name


def test_the_papers_errors():
    """Krizhevsky 2012, table 2: 40.7 and 18.2 %; ten patches, so not to be compared with one crop."""
    alexnet = published_accuracies()["alexnet2012"]
    assert (alexnet.top1, alexnet.top5, alexnet.one_crop) == (0.593, 0.818, False)
    assert published_accuracies()["resnet152"].one_crop


def test_every_published_file_has_its_accuracy_and_every_figure_its_net():
    for net, files in PUBLISHED.items():
        assert published_accuracies()[net].weights == files[0].name
        assert all(accuracy_of_weights(file.name) for file in files)
    assert set(published_accuracies()) <= set(list_models())
