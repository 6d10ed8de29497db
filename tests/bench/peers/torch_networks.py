"""The networks of the benches in PyTorch: layer by layer those of hpcdl."""

import torch
from torch import nn
from torch.nn import functional


def mnist_cnn(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The lecture's network; `shape` is (height, width, channels).

    The ReLUs come after the poolings, where they have a quarter of the work and the same results.
    """
    height, width, channels = shape
    return nn.Sequential(
        nn.Conv2d(channels, 20, 5, padding=2),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(20, 50, 5, padding=2),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(50 * (height // 4) * (width // 4), 500),
        nn.ReLU(),
        nn.Linear(500, classes),
    )


def mlp(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """TensorFlow's first example: a dense layer of 128 and dropout."""
    height, width, channels = shape
    layers = nn.Flatten(), nn.Linear(height * width * channels, 128), nn.ReLU(), nn.Dropout(0.2)
    return nn.Sequential(*layers, nn.Linear(128, classes))


class Block(nn.Module):
    """Convolutions, given as (maps, size, stride), with a shortcut; `shortcut` brings the input to their shape."""

    def __init__(self, into: int, path: list[tuple[int, int, int]], shortcut: nn.Module):
        super().__init__()
        layers: list[nn.Module] = []
        for maps, size, stride in path:
            layers += [nn.Conv2d(into, maps, size, stride, size // 2, bias=False), nn.BatchNorm2d(maps), nn.ReLU()]
            into = maps
        self.path, self.shortcut = nn.Sequential(*layers[:-1]), shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.path(x) + self.shortcut(x))


class EverySecondPixel(nn.Module):
    """The shortcut without parameters (option A): every second pixel, and maps of zeros."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        added = x.shape[1] // 2
        return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, added, added))


def resnet20_cifar(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The residual network of 20 layers for CIFAR-10 (He et al. 2015, section 4.2)."""
    layers: list[nn.Module] = [nn.Conv2d(shape[2], 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    into = 16
    for maps in (16, 32, 64):
        for _ in range(3):
            stride = 1 if into == maps else 2
            shortcut = nn.Identity() if stride == 1 else EverySecondPixel()
            layers.append(Block(into, [(maps, 3, stride), (maps, 3, 1)], shortcut))
            into = maps
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(into, classes))


def resnet50(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The residual network of 50 layers for ImageNet, with the stride in the 3x3 convolutions."""
    layers: list[nn.Module] = [nn.Conv2d(shape[2], 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    layers.append(nn.MaxPool2d(3, 2, 1))
    into = 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        maps = 64 * 2**stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            shortcut: nn.Module = nn.Identity()
            if into != 4 * maps:
                shortcut = nn.Sequential(nn.Conv2d(into, 4 * maps, 1, stride, bias=False), nn.BatchNorm2d(4 * maps))
            layers.append(Block(into, [(maps, 1, 1), (maps, 3, stride), (4 * maps, 1, 1)], shortcut))
            into = 4 * maps
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(into, classes))


NETWORKS = {"mnist_cnn": mnist_cnn, "mlp": mlp, "resnet20_cifar": resnet20_cifar, "resnet50": resnet50}
