"""torch modules: the layer that is found, its values, and that the module is left as it was."""

import copy
import pickle
import sys
import threading
import time
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from penultimate import FeatureExtractor  # noqa: E402
from penultimate.networks import predict_probabilities  # noqa: E402
from penultimate.networks.frameworks.torch_modules import (  # noqa: E402
    TorchNetwork,
    is_torch_module,
)

rng = np.random.default_rng(0)
ROWS = rng.normal(size=(5, 6)).astype(np.float32)
IMAGES = rng.normal(size=(5, 3, 8, 8)).astype(np.float32)
GRAY = rng.normal(size=(5, 1, 12, 12)).astype(np.float32)
SERIES = rng.normal(size=(5, 7, 6)).astype(np.float32)
TOKENS = rng.integers(0, 11, (5, 7))


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Threads of torch's wait for each other longer than such small networks compute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Of(nn.Module):
    """A module with the given parts, and a function of itself and its inputs as its forward."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.run = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *args, **kwargs):
        return self.run(self, *args, **kwargs)


def mlp(*last):
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), *last)


def lenet():
    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = torch.flatten(F.relu(self.conv2(x)), 1)
        x = F.relu(self.fc1(x))
        return self.fc2(x)

    return Of(
        forward,
        conv1=nn.Conv2d(1, 4, 3),
        conv2=nn.Conv2d(4, 6, 3),
        fc1=nn.Linear(54, 8),
        fc2=nn.Linear(8, 3),
    )


class Block(nn.Module):
    """The basic block of torchvision's ResNet, whose ReLU is called twice, in place."""

    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x):
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += x
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self, head=True):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.layer1 = nn.Sequential(Block(4), Block(4))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(4, 3) if head else nn.Identity()

    def forward(self, x):
        return self.fc(torch.flatten(self.avgpool(self.layer1(self.stem(x))), 1))


def mobilenet():
    def forward(self, x):
        x = F.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(torch.flatten(x, 1))

    features = nn.Sequential(
        nn.Conv2d(3, 6, 1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU6(inplace=True),
        nn.Conv2d(6, 6, 3, groups=6),
        nn.BatchNorm2d(6),
        nn.Hardswish(),
    )
    classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(6, 3))
    return Of(forward, features=features, classifier=classifier)


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.positions = nn.Parameter(torch.randn(1, 5, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.positions
        return self.head(self.norm(self.encoder(x))[:, 0])


def densenet():
    def forward(self, x):
        x = torch.cat([x, self.conv1(F.relu(self.norm1(x)))], 1)
        x = torch.cat([x, self.conv2(F.relu(self.norm2(x)))], 1)
        x = F.relu(self.norm3(x), inplace=True)
        return self.classifier(F.adaptive_avg_pool2d(x, 1).flatten(1))

    return Of(
        forward,
        norm1=nn.BatchNorm2d(3),
        conv1=nn.Conv2d(3, 4, 3, padding=1),
        norm2=nn.BatchNorm2d(7),
        conv2=nn.Conv2d(7, 4, 3, padding=1),
        norm3=nn.BatchNorm2d(11),
        classifier=nn.Linear(11, 3),
    )


def conv_classifier(*last):
    return nn.Sequential(
        nn.Conv2d(3, 5, 3),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Conv2d(5, 3, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        *last,
    )


class Cosine(nn.Module):
    """A head of cosines, as of face recognition."""

    def __init__(self, scale=8.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 5))
        self.scale = scale

    def forward(self, x):
        return self.scale * F.linear(F.normalize(x), F.normalize(self.weight))


class OwnHead(nn.Module):
    def __init__(self, product=torch.matmul):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(5, 3))
        self.product = product

    def forward(self, x):
        return self.product(x, self.weight)


def old_weight_norm(layer):
    with pytest.warns(FutureWarning):
        return torch.nn.utils.weight_norm(layer)


class LoRA(nn.Module):
    """A linear layer with a correction of low rank, in modules of its own."""

    def __init__(self):
        super().__init__()
        self.base, self.down, self.up = nn.Linear(5, 3), nn.Linear(5, 2), nn.Linear(2, 3)

    def forward(self, x):
        return self.base(x) + self.up(F.dropout(self.down(x), training=self.training)) / 2


def lstm_classifier():
    return Of(
        lambda self, x: self.fc(self.lstm(x)[0][:, -1]),
        lstm=nn.LSTM(6, 5, batch_first=True),
        fc=nn.Linear(5, 3),
    )


def with_text(self, ids, mask=None):
    x = self.embedding(ids)
    x = x.mean(1) if mask is None else (x * mask[..., None]).sum(1)
    return {"logits": self.head(torch.tanh(self.dense(x))), "loss": None}


def text_classifier():
    return Of(with_text, embedding=nn.Embedding(11, 6), dense=nn.Linear(6, 5), head=nn.Linear(5, 3))


# The network, samples, where the penultimate layer is, and what it takes or gives.
FOUND = {
    "mlp": (lambda: mlp(nn.Linear(5, 3)), ROWS, "1"),
    "softmax": (lambda: mlp(nn.Linear(5, 3), nn.Softmax(dim=1)), ROWS, "1"),
    "log softmax": (lambda: mlp(nn.Linear(5, 3), nn.LogSoftmax(dim=1)), ROWS, "1"),
    "sigmoid": (lambda: mlp(nn.Linear(5, 1), nn.Sigmoid(), nn.Flatten(0)), ROWS, "1"),
    "dropout": (lambda: mlp(nn.Dropout(0.5), nn.Linear(5, 3), nn.Dropout(0.1)), ROWS, "1"),
    "one layer": (lambda: nn.Linear(6, 3), ROWS, "input of the network"),
    "lenet": (lenet, GRAY, "input of fc2"),
    "resnet": (ResNet, IMAGES, "input of fc"),
    "mobilenet": (mobilenet, IMAGES, "input of classifier.1"),
    "vit": (ViT, IMAGES, "input of head"),
    "densenet": (densenet, IMAGES, "input of classifier"),
    "pooled conv, softmax": (lambda: conv_classifier(nn.Softmax(1)), IMAGES, "1"),
    "whole map": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 6)),
        IMAGES,
        "1",
    ),
    "weight norm": (
        lambda: mlp(nn.utils.parametrizations.weight_norm(nn.Linear(5, 3))),
        ROWS,
        "1",
    ),
    "old weight norm": (lambda: mlp(old_weight_norm(nn.Linear(5, 3))), ROWS, "1"),
    "spectral norm": (
        lambda: mlp(nn.utils.parametrizations.spectral_norm(nn.Linear(5, 3))),
        ROWS,
        "1",
    ),
    "cosine": (lambda: mlp(Cosine()), ROWS, "1"),
    "own product": (lambda: mlp(OwnHead()), ROWS, "1"),
    "lora": (lambda: mlp(LoRA()), ROWS, "1"),
    "own einsum": (
        lambda: mlp(OwnHead(lambda x, w: torch.einsum("ab,bc->ac", x, w))),
        ROWS,
        "1",
    ),
    "temperature and bias": (
        lambda: Of(
            lambda self, x: self.net(x) / self.t + 1,
            net=mlp(nn.Linear(5, 3)),
            t=nn.Parameter(torch.ones(())),
        ),
        ROWS,
        "net.1",
    ),
    "two heads": (
        lambda: Of(
            lambda self, x: (self.a(h := self.body(x)), self.b(h)),
            body=mlp(),
            a=nn.Linear(5, 3),
            b=nn.Linear(5, 2),
        ),
        ROWS,
        "body.1",
    ),
    "sum of heads": (
        lambda: Of(
            lambda self, x: F.softmax(self.a(h := self.body(x)) + self.b(h), 1),
            body=mlp(),
            a=nn.Linear(5, 3),
            b=nn.Linear(5, 3),
        ),
        ROWS,
        "body.1",
    ),
    "logits beside features": (
        lambda: Of(
            lambda self, x: {"y": self.fc(h := self.body(x)), "features": h},
            body=mlp(),
            fc=nn.Linear(5, 3),
        ),
        ROWS,
        "body.1",
    ),
    "lstm": (lstm_classifier, SERIES, "input of fc"),
    "conv1d": (
        lambda: nn.Sequential(nn.Conv1d(7, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)),
        SERIES,
        "2",
    ),
    "tokens": (text_classifier, TOKENS, "input of head"),
    "shared": (
        lambda: Of(
            lambda self, x: self.fc(self.act(self.b(self.act(self.a(x))))),
            act=nn.ReLU(),
            a=nn.Linear(6, 6),
            b=nn.Linear(6, 5),
            fc=nn.Linear(5, 3),
        ),
        ROWS,
        "act:1",
    ),
    "nested": (lambda: nn.Sequential(nn.LayerNorm(6), mlp(nn.Linear(5, 3))), ROWS, "1.1"),
    "frozen": (lambda: mlp(nn.Linear(5, 3)).requires_grad_(False), ROWS, "1"),
    # Without a classifying layer: the output.
    "headless resnet": (lambda: ResNet(head=False), IMAGES, "output of the network"),
    "relu": (lambda: mlp(), ROWS, "1"),
    "relu6": (lambda: mlp(nn.Linear(5, 3), nn.ReLU6(inplace=True)), ROWS, "3"),
    "clamp": (
        lambda: Of(lambda self, x: self.net(x).clamp(min=0), net=mlp(nn.Linear(5, 3))),
        ROWS,
        "output of the network",
    ),
    "batch norm": (lambda: mlp(nn.Linear(5, 3), nn.BatchNorm1d(3)), ROWS, "3"),
    "unit length": (
        lambda: Of(lambda self, x: F.normalize(self.net(x)), net=mlp(nn.Linear(5, 3))),
        ROWS,
        "output of the network",
    ),
    "divided by its norm": (
        lambda: Of(
            lambda self, x: (h := self.net(x)) / h.norm(dim=1, keepdim=True),
            net=mlp(nn.Linear(5, 3)),
        ),
        ROWS,
        "output of the network",
    ),
    "maps": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3)), IMAGES, "0"),
    "pooled maps": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1)),
        IMAGES,
        "2",
    ),
    "residual": (
        lambda: Of(lambda self, x: x + self.fc(x), fc=nn.Linear(6, 6)),
        ROWS,
        "output of the network",
    ),
    "recurrent": (
        lambda: Of(lambda self, x: self.gru(x)[1][0], gru=nn.GRU(6, 4, batch_first=True)),
        SERIES,
        "output of the network",
    ),
}
UNCLEAR = {
    "tanh": lambda: mlp(nn.Linear(5, 3), nn.Tanh()),
    "own function": lambda: Of(
        lambda self, x: torch.sort(self.net(x)).values, net=mlp(nn.Linear(5, 3))
    ),
    "square": lambda: Of(
        lambda self, x: self.net(x) @ self.w, net=mlp(), w=nn.Parameter(torch.randn(5, 5))
    ),
    "prototypes": lambda: Of(lambda self, x: torch.cdist(self.net(x), torch.ones(3, 5)), net=mlp()),
    "two scores": lambda: Of(
        lambda self, x: torch.cat([self.a(h := self.body(x)), self.b(h)], 1),
        body=mlp(),
        a=nn.Linear(5, 3),
        b=nn.Linear(5, 2),
    ),
}


def by_hand(module, layer, x):
    """The value of a layer, from hooks that are all there is: the whole pass, in order."""
    is_input = layer.startswith("input of ")
    name = layer.removeprefix("input of ").removeprefix("output of ").partition(":")[0]
    part = module.get_submodule("" if name == "the network" else name)
    taken, given = [], []
    handles = [
        part.register_forward_pre_hook(lambda _, args: taken.append(args[0].clone())),
        part.register_forward_hook(
            lambda _, args, out: given.append(out.clone() if torch.is_tensor(out) else out)
        ),
    ]
    float_type = next((p.dtype for p in module.parameters()), torch.float32)
    x = torch.tensor(x)
    with torch.no_grad():
        module.eval()(x.to(float_type) if x.is_floating_point() else x)
    for handle in handles:
        handle.remove()
    return (taken if is_input else given)[-1].float().numpy()


@pytest.mark.parametrize("case", FOUND)
def test_the_penultimate_layer_is_found(case):
    build, x, layer = FOUND[case]
    torch.manual_seed(0)
    module = build()
    network = TorchNetwork(module.train())
    cut = network.cut("penultimate", example=[x[:2]])
    assert cut.layer == layer
    assert not cut.gives_probabilities
    got = cut.run([x])
    assert got.dtype == np.float32
    again = network.cut(cut.layer, example=[x[:2]])  # the name finds the value again
    np.testing.assert_array_equal(again.run([x]), got)
    assert cut.output_shape([x.shape[1:]]) == got.shape[1:]
    assert all(each.training for each in module.modules())
    np.testing.assert_allclose(got, by_hand(module, layer, x), rtol=1e-5, atol=1e-5)


def test_place_in_words():
    def place(module, layer="penultimate", x=ROWS):
        return TorchNetwork(module).cut(layer, example=[x]).place

    assert place(mlp(nn.Linear(5, 3))) == "the input of '2'"
    assert place(ResNet(head=False), x=IMAGES) == "the network's output"
    assert place(mlp(Cosine())) == "the input of '2'"
    assert place(FOUND["sum of heads"][0]()) == "the input of 'a' and 'b'"
    assert place(mlp(), "0") == "the output of '0'"
    assert place(mlp(), "input of 1") == "the input of '1'"
    assert TorchNetwork(mlp()).whole([ROWS]).place == "the network's output"


@pytest.mark.parametrize("case", UNCLEAR)
def test_ambiguous_ends_are_an_error_that_lists_layers(case):
    network = TorchNetwork(UNCLEAR[case]())
    with pytest.raises(ValueError, match=r"not clear which layer .* Name it: layer='") as e:
        network.cut("penultimate", example=[ROWS])
    for layer in str(e.value).split("layer=")[1].split("'")[1::2]:
        network.cut(layer, example=[ROWS])  # as is promised, it can be named


def test_as_many_outputs_as_labels_are_classes():
    network = TorchNetwork(UNCLEAR["tanh"]())
    assert network.cut("penultimate", 3, [ROWS]).layer == "1"
    with pytest.raises(ValueError, match="not clear"):
        network.cut("penultimate", 4, [ROWS])
    pooled = TorchNetwork(conv_classifier())
    with pytest.raises(ValueError, match=r"pooled: to scores or features.*layer='1'"):
        pooled.cut("penultimate", example=[IMAGES])
    assert pooled.cut("penultimate", 3, [IMAGES]).layer == "1"
    assert TorchNetwork(mlp()).cut("penultimate", 5, [ROWS]).place == "the network's output"


def test_a_value_that_no_module_knows():
    module = Of(
        lambda self, x: F.linear(F.relu(self.a(x)), self.w),
        a=nn.Linear(6, 5),
        w=nn.Parameter(torch.ones(3, 5)),
    )
    with pytest.raises(
        ValueError, match=r"classes in 'linear\(\)' from a value \(relu\) .*layer='a'"
    ):
        TorchNetwork(module).cut("penultimate", example=[ROWS])


def test_heads_on_different_values():
    def forward(self, x):
        return self.a(x), self.b(torch.relu(x))

    module = Of(forward, a=nn.Linear(6, 3), b=nn.Linear(6, 3))
    with pytest.raises(ValueError, match=r"different .*layer='input of a' or 'input of b'"):
        TorchNetwork(module).cut("penultimate", example=[ROWS])


def test_calls_keys_and_names():
    @dataclass
    class Output:
        hidden: object
        pooled: object = None
        cache: object = None

    def forward(self, x):
        series, state = self.lstm(x)
        out = self.out(series)
        return self.act(self.act(out.hidden[:, -1])) + state[0][0]

    module = Of(
        forward,
        lstm=nn.LSTM(6, 5, batch_first=True),
        out=Of(lambda self, x: Output(x, pooled=x.mean(1))),
        act=nn.Tanh(),
    )
    module.act_again = module.act
    network = TorchNetwork(module)

    def value(layer):
        return network.cut(layer, example=[SERIES]).run([SERIES])

    expected = module.lstm(torch.tensor(SERIES))[0].detach().numpy()
    np.testing.assert_allclose(value("lstm[0]"), expected, atol=1e-6)
    np.testing.assert_allclose(value("out[hidden]"), expected, atol=1e-6)
    np.testing.assert_allclose(value("out[pooled]"), expected.mean(1), atol=1e-6)
    np.testing.assert_allclose(value("act:0"), np.tanh(expected[:, -1]), atol=1e-6)
    np.testing.assert_allclose(value("act_again:1"), np.tanh(value("act:0")), atol=1e-6)
    np.testing.assert_allclose(value("input of act:1"), value("act:0"), atol=1e-6)
    for layer, message in {
        "lstm": r"3 tensors: choose one of \['lstm\[0\]', 'lstm\[1\]\[0\]', 'lstm\[1\]\[1\]'\]",
        "lstm[2]": r"3 tensors and none at \[2\]: choose one of \['lstm\[0\]'",
        "out": r"choose one of \['out\[hidden\]', 'out\[pooled\]'\]",
        "act": r"called 2 times .* \['act:0', 'act:1'\]",
        "act:2": "called 2 times .* counted from 0; got 'act:2'",
        "lstn[0]": r"no layer 'lstn\[0\]'. Did you mean 'lstm\[0\]'",
        "lstm[1][0]": r"shape \(1, 5, 5\) for 5 samples: its first axis is not",
        "": "no layer ''",
        "input of nothing": "no layer 'input of nothing'",
    }.items():
        with pytest.raises(ValueError, match=message):
            value(layer)


def test_names_that_look_like_other_things():
    module = nn.Sequential()
    module.add_module("a:0[1]", nn.Linear(6, 4))
    module.add_module("output", nn.Linear(4, 3))
    network = TorchNetwork(module)
    assert network.cut("a:0[1]", example=[ROWS]).run([ROWS]).shape == (5, 4)
    assert network.cut("output", example=[ROWS]).run([ROWS]).shape == (5, 3)
    assert network.cut("penultimate", example=[ROWS]).layer == "a:0[1]"
    module = Of(lambda self, x: self.a(x), a=nn.Linear(6, 3), aux=nn.Linear(6, 2))
    with pytest.raises(ValueError, match="'aux' .* does not run"):
        TorchNetwork(module).cut("aux", example=[ROWS])


def test_the_module_is_left_as_it_was():
    module = mlp(nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Linear(5, 3))
    module.train()
    module[2].eval()  # a frozen batch normalization
    module[0].weight.requires_grad_(False)
    before = copy.deepcopy(module.state_dict())
    network = TorchNetwork(module)
    batch = ROWS.copy()
    batch.flags.writeable = False
    network.cut("penultimate", example=[batch]).run([batch])
    network.candidates([batch])
    with pytest.raises(ValueError, match="cannot take"):
        network.cut("penultimate", example=[IMAGES])
    with pytest.raises(ValueError, match="cannot take"):
        network.cut("0", example=[ROWS]).run([ROWS[:, :2]])
    assert [each.training for each in module.modules()] == [True] * 3 + [False] + [True] * 2
    assert [each.requires_grad for each in module[0].parameters()] == [False, True]
    assert torch.is_grad_enabled()
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in module.modules())
    module(torch.tensor(ROWS)).sum().backward()  # can still be trained


def test_an_input_that_is_changed_in_place():
    module = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(6, 3))
    batch = ROWS.copy()
    cut = TorchNetwork(module).cut("input of 0", example=[batch])
    np.testing.assert_array_equal(cut.run([batch]), ROWS)
    TorchNetwork(module).whole([batch]).run([batch])
    np.testing.assert_array_equal(batch, ROWS)


def test_nothing_runs_after_the_cut():
    ran = []
    module = mlp(Of(lambda self, x: ran.append(1) or x), nn.Linear(5, 3))
    cut = TorchNetwork(module).cut("1", example=[ROWS])
    ran.clear()
    cut.run([ROWS])
    assert not ran


def test_the_end_of_a_pass_is_not_caught():
    caught = []

    def forward(self, x):
        try:
            return self.body(x)
        except Exception as error:
            caught.append(error)
            return x

    module = Of(forward, body=mlp())
    cut = TorchNetwork(module).cut("body.0", example=[ROWS])
    np.testing.assert_allclose(cut.run([ROWS]), by_hand(module, "body.0", ROWS), rtol=1e-5)
    assert not caught


def test_threads():
    running, most = [], []

    def forward(self, x):
        running.append(x)
        most.append(len(running))
        time.sleep(0.001)
        running.pop()
        return x

    shared = mlp(Of(forward))
    modules = [nn.Sequential(shared, nn.Dropout(0.5), nn.Linear(5, 3)).train() for _ in range(2)]
    cuts = [TorchNetwork(each).whole([ROWS]) for each in modules]
    expected = [cut.run([ROWS]) for cut in cuts]
    wrong = []

    def work(k):
        for _ in range(10):
            if not np.array_equal(cuts[k].run([ROWS]), expected[k]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k % 2,)) for k in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not wrong
    assert max(most) == 1  # another thread would find the flags of the first one
    assert all(each.training for module in modules for each in module.modules())


def test_the_samples_of_a_batch_are_independent():
    for bad in (
        nn.BatchNorm1d(5, track_running_stats=False),
        Of(lambda self, x: F.dropout(x)),
        Of(lambda self, x: x - x.mean(0)),
    ):
        with pytest.raises(ValueError, match="depend on the other samples"):
            TorchNetwork(mlp(bad)).cut("2", example=[ROWS])
    with pytest.raises(ValueError, match="depend on the other samples"):
        TorchNetwork(nn.LSTM(6, 5)).cut("output of the network[0]", example=[SERIES])
    squeezed = Of(lambda self, x: self.body(x).squeeze(), body=mlp())
    assert TorchNetwork(squeezed).whole([ROWS[:1]]).run([ROWS[:1]]).shape == (1, 5)
    torch.manual_seed(0)
    cut = TorchNetwork(ResNet()).cut("penultimate", example=[IMAGES[:1]])
    alone = np.concatenate([cut.run([IMAGES[k : k + 1]]) for k in range(5)])
    np.testing.assert_allclose(cut.run([IMAGES]), alone, atol=1e-5)
    np.testing.assert_allclose(cut.run([IMAGES[::-1]]), alone[::-1], atol=1e-5)


def test_half_precision():
    torch.manual_seed(0)
    for kind, module, x in (
        (torch.bfloat16, ResNet(), IMAGES),
        (torch.float16, mlp(nn.Linear(5, 3)), ROWS),
        (torch.float64, mlp(nn.Linear(5, 3)), ROWS),
    ):
        exact = TorchNetwork(module).cut("penultimate", example=[x]).run([x])
        cut = TorchNetwork(module.to(kind)).cut("penultimate", example=[x])
        got = cut.run([x])
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, exact, atol=0.1)
        np.testing.assert_allclose(got, by_hand(module, cut.layer, x), atol=1e-5)


def test_several_inputs():
    def forward(self, image, *, row, scale=1.0):
        return self.fc(torch.cat([self.conv(image).flatten(1), row], 1) * scale)

    module = Of(forward, conv=nn.Conv2d(3, 2, 8), fc=nn.Linear(8, 3))
    example = {"image": IMAGES, "row": ROWS}
    cut = TorchNetwork(module).cut("penultimate", example=example)
    assert [each.name for each in cut.inputs] == ["image", "row"]
    assert [each.shape for each in cut.inputs] == [(3, 8, 8), (6,)]
    assert cut.run([IMAGES, ROWS]).shape == (5, 8)
    module = text_classifier()
    network = TorchNetwork(module)
    cut = network.cut("penultimate", example={"ids": TOKENS, "mask": TOKENS > 4})
    assert [each.dtype for each in cut.inputs] == ["int64", "bool"]
    several = TorchNetwork(Of(lambda self, x, y: self.a(x, y), a=nn.Bilinear(6, 6, 2)))
    assert several.whole([ROWS, ROWS]).run([ROWS, ROWS]).shape == (5, 2)
    with pytest.raises(ValueError, match=r"shape \(6,\) .*missing 1 required"):
        several.cut("a", example=[ROWS])


def test_whole_numbers_are_tokens_or_pixels():
    pixels = rng.integers(0, 255, (4, 3, 8, 8))
    for kind in (np.uint8, np.int64):
        cut = TorchNetwork(ResNet()).cut("penultimate", example=[pixels.astype(kind)])
        assert cut.inputs[0].dtype == "float32"
    assert TorchNetwork(text_classifier()).inputs([TOKENS.astype(np.uint8)])[0].dtype == "int64"
    with pytest.raises(ValueError, match="to have 3 channels"):
        TorchNetwork(ResNet()).cut("penultimate", example=[pixels[:, :2]])
    with pytest.raises(ValueError, match="index out of range"):
        TorchNetwork(text_classifier()).cut("penultimate", example=[TOKENS + 11])


def test_inputs_without_an_example():
    network = TorchNetwork(Block(3))
    assert [(each.name, each.shape) for each in network.inputs()] == [("x", None)]
    for ask in (lambda: network.cut("penultimate"), network.whole, network.candidates):
        with pytest.raises(ValueError, match="does not state the shape of its input: pass X"):
            ask()
    with pytest.raises(ValueError, match="no samples"):
        network.cut("penultimate", example=[IMAGES[:0]])
    assert network.channels_first()
    assert network.channels_first([IMAGES])
    assert not network.channels_first([ROWS])
    assert not network.takes_pixels()


def test_candidates_in_the_order_of_the_calls():
    found = TorchNetwork(lenet()).candidates([GRAY])
    assert [(each.layer, each.kind, each.shape) for each in found] == [
        ("conv1", "Conv2d", (4, 10, 10)),
        ("input of conv2", "maxpool2d", (4, 5, 5)),
        ("conv2", "Conv2d", (6, 3, 3)),
        ("input of fc1", "flatten", (54,)),
        ("fc1", "Linear", (8,)),
        ("input of fc2", "relu", (8,)),
        ("fc2", "Linear", (3,)),
        ("output of the network", "Of", (3,)),
    ]
    for build, x, layer in FOUND.values():
        network = TorchNetwork(build())
        listed = network.candidates([x])
        assert layer in [each.layer for each in listed] or layer == "input of the network"
    for each in listed:
        assert network.cut(each.layer, example=[x]).run([x]).shape[1:] == each.shape


@pytest.mark.parametrize(
    ("build", "x", "layer", "axis"),
    [
        (ResNet, IMAGES, "layer1", 1),
        (ResNet, IMAGES, "avgpool", 1),
        (ResNet, IMAGES, "input of fc", -1),
        (ViT, IMAGES, "patches", 1),
        (ViT, IMAGES, "encoder", -1),
        (ViT, IMAGES, "input of encoder", -1),
        (FOUND["conv1d"][0], SERIES, "1", 1),
        (lambda: nn.Sequential(nn.Linear(6, 4)), SERIES, "0", -1),
        (lambda: nn.Sequential(nn.Linear(8, 4), nn.LayerNorm(4), nn.GELU()), IMAGES, "2", -1),
        (
            lambda: Of(lambda self, x: self.a(x).permute(0, 2, 3, 1), a=nn.Conv2d(3, 4, 1)),
            IMAGES,
            "output of the network",
            -1,
        ),
        (
            lambda: Of(lambda self, x: self.a(x).flatten(2), a=nn.Conv2d(3, 4, 1)),
            IMAGES,
            "output of the network",
            1,
        ),
    ],
)
def test_the_axis_of_the_channels(build, x, layer, axis):
    assert TorchNetwork(build()).cut(layer, example=[x]).channel_axis == axis


LOGITS = {
    "linear": (lambda: mlp(nn.Linear(5, 3)), True),
    "softmax": (lambda: mlp(nn.Linear(5, 3), nn.Softmax(1), nn.Dropout()), False),
    "sigmoid": (lambda: mlp(nn.Linear(5, 1), nn.Sigmoid(), nn.Flatten(0)), False),
    "log softmax": (lambda: mlp(nn.Linear(5, 3), nn.LogSoftmax(1)), True),
    "clip": (lambda: mlp(Of(lambda self, x: torch.softmax(x, 1).clamp(1e-6, 1))), False),
    "own softmax": (lambda: mlp(Of(lambda self, x: x.exp() / x.exp().sum(1, keepdim=True))), False),
    "both of two": (
        lambda: mlp(nn.Linear(5, 1), nn.Sigmoid(), Of(lambda self, p: torch.cat([1 - p, p], 1))),
        False,
    ),
}


@pytest.mark.parametrize("case", LOGITS)
def test_scores_or_probabilities(case):
    build, are_logits = LOGITS[case]
    network = TorchNetwork(build())
    assert network.gives_logits(example=[ROWS]) == are_logits
    whole = network.whole([ROWS])
    assert network.gives_logits(whole.run([ROWS])) == are_logits
    assert whole.gives_probabilities == (case in ("softmax", "sigmoid"))


def test_outputs_with_two_readings_are_an_error():
    ends = [lambda self, x: torch.sigmoid(x[:, :1]) * 100, lambda self, x: x.softmax(1) * 2 - 1]
    for end in ends:
        with pytest.raises(ValueError, match=r"not clear whether the outputs .* from"):
            TorchNetwork(mlp(Of(end))).gives_logits(example=[ROWS])
    with pytest.raises(ValueError, match="pass outputs, or samples"):
        TorchNetwork(mlp()).gives_logits()
    with pytest.raises(ValueError, match=r"2 outputs .*: output of the network\[0\], output"):
        TorchNetwork(FOUND["two heads"][0]()).whole([ROWS])


def test_digest():
    def module(seed=0, *last):
        torch.manual_seed(seed)
        return mlp(nn.BatchNorm1d(5), nn.Linear(5, 3), *last)

    def digest(module):
        return TorchNetwork(module).digest()

    first = digest(module())
    assert len(first) == 32
    assert int(first, 16)
    assert digest(module().eval()) == first == digest(copy.deepcopy(module()))
    changed = module()
    changed[2].running_mean += 1
    others = [
        changed,
        module(1),
        module().half(),
        module(0, nn.Softmax(1)),
        module(0, nn.Softmax(0)),
    ]
    assert len({first, *map(digest, others)}) == 6
    assert digest(module().bfloat16())


def test_modules_that_cannot_be_used():
    assert is_torch_module(mlp())
    assert not any(map(is_torch_module, (nn.Linear, ROWS, {})))
    with pytest.raises(TypeError, match=r"the class 'ViT'; pass a trained instance"):
        TorchNetwork(ViT)
    with pytest.raises(TypeError, match=r"OrderedDict of 2 entries.*load_state_dict"):
        TorchNetwork(nn.Linear(6, 3).state_dict())
    with pytest.raises(
        TypeError, match=r"got OrderedDict.*\.\.\.\. It holds weights without a network"
    ):
        FeatureExtractor(nn.Linear(60, 30).state_dict()).fit(ROWS)
    with pytest.raises(TypeError, match="must be a torch.nn.Module; got 'resnet'"):
        TorchNetwork("resnet")
    with pytest.raises(TypeError, match=r"wrapped in DataParallel.*network\.module"):
        TorchNetwork(nn.DataParallel(mlp()))
    with pytest.raises(ValueError, match=r"weights '0.weight' .* lazy"):
        TorchNetwork(nn.Sequential(nn.LazyLinear(3)))
    with pytest.raises(ValueError, match=r"weights '0.weight' .* device 'meta'"):
        TorchNetwork(mlp().to("meta"))
    with pytest.raises(ValueError, match="complex numbers"):
        TorchNetwork(Of(lambda self, x: torch.fft.fft(x))).whole([ROWS])
    with pytest.raises(ValueError, match="no output that is a tensor"):
        TorchNetwork(Of(lambda self, x: [1])).cut("penultimate", example=[ROWS])
    with pytest.raises(ValueError, match=r"shape \(8, 8, 3\).*numpy\.moveaxis\(X, -1, 1\)"):
        TorchNetwork(ResNet()).cut("penultimate", example=[np.moveaxis(IMAGES, 1, -1)])


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_scripted_modules():
    scripted = torch.jit.script(mlp())
    with pytest.raises(TypeError, match="scripted module"):
        TorchNetwork(scripted)
    with pytest.raises(TypeError, match="has a scripted part, '0',"):
        TorchNetwork(nn.Sequential(scripted, nn.Linear(5, 3)))


def scripted_gate(x):
    return x * torch.sigmoid(x)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_what_torch_does_not_show_is_one_opaque_layer():
    def opaque():
        return Of(lambda self, x: torch.from_numpy(np.tanh(x.numpy())))

    network = TorchNetwork(mlp(opaque(), nn.Linear(5, 3)))
    assert network.cut("penultimate", example=[ROWS]).layer == "2"
    scripted = torch.jit.script(scripted_gate)
    network = TorchNetwork(
        Of(lambda self, x: self.fc(scripted(self.a(x))), a=nn.Linear(6, 5), fc=nn.Linear(5, 3))
    )
    assert network.cut("penultimate", example=[ROWS]).layer == "input of fc"
    with pytest.raises(ValueError, match=r"'3' \(of\) may compute anything"):
        TorchNetwork(mlp(nn.Linear(5, 3), opaque())).cut("penultimate", example=[ROWS])


def test_a_keras_model_on_torch_is_no_torch_module(monkeypatch):
    class Layer(nn.Module):  # as Keras's are on this backend; importing it takes seconds
        pass

    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace(Layer=Layer))
    assert not is_torch_module(Layer())
    assert is_torch_module(nn.Sequential(Layer()))
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace())  # while it is being imported
    assert is_torch_module(mlp())


def test_compiled_modules():  # the import of torch's compiler takes seconds
    module = mlp(nn.Linear(5, 3))
    compiled = torch.compile(module, backend="eager")
    network = TorchNetwork(compiled)
    assert network.cut("penultimate", example=[ROWS]).layer == "1"
    assert network.digest() == TorchNetwork(module).digest()
    part = nn.Sequential(torch.compile(module[:2], backend="eager"), nn.Linear(5, 3))
    cut = TorchNetwork(part).cut("penultimate", example=[ROWS])
    np.testing.assert_allclose(cut.run([ROWS]), by_hand(module, "1", ROWS), rtol=1e-5)


@pytest.mark.filterwarnings("ignore:.*nested tensors:UserWarning")
def test_padding_masks_of_transformers():
    layer = nn.TransformerEncoderLayer(6, 2, 8, batch_first=True)
    module = Of(
        lambda self, x, padding: self.fc(self.encoder(x, src_key_padding_mask=padding)[:, 0]),
        encoder=nn.TransformerEncoder(layer, 2),
        fc=nn.Linear(6, 3),
    ).eval()
    padding = np.arange(7) >= np.array([7, 3, 5, 2, 4])[:, None]
    network = TorchNetwork(module)
    cut = network.cut("penultimate", example=[SERIES, padding])
    with torch.no_grad():
        whole = module(torch.tensor(SERIES), torch.tensor(padding))
        head = module.fc(torch.tensor(cut.run([SERIES, padding])))
    np.testing.assert_allclose(head.numpy(), whole.numpy(), atol=1e-5)
    with pytest.raises(ValueError, match=r"nested tensor.*set_fastpath_enabled\(False\)"):
        network.cut("encoder.layers.0", example=[SERIES, padding])


def test_a_cut_can_be_pickled():
    cut = TorchNetwork(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))).cut(
        "penultimate", example=[ROWS]
    )
    again = pickle.loads(pickle.dumps(cut))  # noqa: S301
    np.testing.assert_array_equal(again.run([ROWS]), cut.run([ROWS]))


def test_several_layers_in_one_pass():
    ran = []
    last = Of(lambda self, x: ran.append(1) or x)
    module = nn.Sequential(nn.Linear(6, 5), nn.ReLU(inplace=True), last)
    network = TorchNetwork(module)
    cuts = [network.cut(layer, example=[ROWS]) for layer in ("0", "input of 2", "1", "0")]
    assert (cuts[0].run([ROWS]) < 0).any()  # before the ReLU, which works in place
    expected = [cut.run([ROWS]) for cut in cuts]
    ran.clear()
    for got, each in zip(network.run_all(cuts, [ROWS]), expected, strict=True):
        np.testing.assert_array_equal(got, each)
    assert not ran
    other = TorchNetwork(module).cut("0", example={"input": ROWS})
    assert len(network.run_all([cuts[0], other], [ROWS])) == 2


def test_the_extractor_and_its_copies():
    module = ResNet().train()
    extractor = FeatureExtractor(module, layer=["layer1", "penultimate"], pooling="avg").fit(IMAGES)
    assert extractor.layer_ == ["layer1", "input of fc"]
    features = extractor.transform(IMAGES)
    assert features.shape == (5, 8)
    np.testing.assert_allclose(features[:, :4], features[:, 4:], rtol=1e-5)
    again = pickle.loads(pickle.dumps(extractor))  # noqa: S301
    np.testing.assert_array_equal(again.transform(IMAGES), features)
    assert module.training
    assert [each.layer for each in extractor.layers(IMAGES)][-2:] == ["fc", "output of the network"]


def test_copies_of_extractors_know_their_inputs():
    encoder = nn.TransformerEncoderLayer(6, 2, 8, batch_first=True)
    masked = Of(
        lambda self, x, *, padding: self.a(x, src_key_padding_mask=padding)[:, 0], a=encoder
    )
    padding = np.arange(7) >= np.array([7, 3, 5, 2, 4])[:, None]
    for module, X in (
        (text_classifier(), TOKENS),
        (masked, {"x": SERIES, "padding": padding}),
        (Of(lambda self, *x: self.a(torch.cat(x, 1)), a=nn.Linear(12, 2)), [ROWS, ROWS]),
    ):
        extractor = FeatureExtractor(module).fit(X)
        again = copy.copy(extractor)  # as pickled, without the cut network
        assert again.layers() == extractor.layers(X)
        again.set_params(network=nn.Linear(3, 2))
        with pytest.raises(ValueError, match="does not state the shape of its input: pass X"):
            again.layers()
        again.set_params(network=module)
        np.testing.assert_array_equal(again.transform(X), extractor.transform(X))


def test_tokens_as_floats():
    network = TorchNetwork(text_classifier())
    cut = network.cut("penultimate", example=[TOKENS.astype(float)])
    assert cut.inputs[0].dtype == "int64"


def test_probabilities_of_a_torch_module():
    several = mlp(nn.Linear(5, 3), nn.Sigmoid())  # of labels that do not exclude each other
    own = several(torch.tensor(ROWS)).detach().numpy()
    expected = own / own.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predict_probabilities(several, ROWS), expected, rtol=1e-5)
    logits = mlp(nn.Linear(5, 3))
    expected = torch.softmax(logits(torch.tensor(ROWS)), 1).detach().numpy()
    np.testing.assert_allclose(predict_probabilities(logits, ROWS), expected, rtol=1e-5)
    single = mlp(nn.Linear(5, 1), nn.Sigmoid(), nn.Flatten(0))
    own = single(torch.tensor(ROWS)).detach().numpy()
    np.testing.assert_allclose(predict_probabilities(single, ROWS)[:, 1], own, rtol=1e-5)
