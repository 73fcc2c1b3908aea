"""The classifier of std-ext/examples/classify_hypervectors.rs by torchhd, on the same vectors.

    pip install torch torch-hd
    python tests/reference/classify_hypervectors.py digits.csv

Random vectors are made from the same numbers, so that a sign of a sum is the same trit there. Prints
the held-out images that are classified rightly: by the signs of the classes' sums, as there, and by the
sums themselves (torchhd's Centroid model), at one look and after epochs of correction.
"""

import csv
import sys

import torch
import torchhd
from torchhd.models import Centroid

DIM, PIXELS, LEVELS, CLASSES, EPOCHS, FOLDS = 10_000, 64, 17, 10, 20, 5
WORD = (1 << 64) - 1
KEY, SPREAD = 0x243F6A8885A308D3, 0x13198A2E03707345


def mix(z):
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & WORD
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & WORD
    return z ^ (z >> 31)


def bits(key, index):
    return mix(key + (index + 1) * SPREAD & WORD)


def random(seed):
    key = bits(KEY, seed)
    words = [bits(key, word) for word in range(-(-DIM // 64))]
    return [1.0 if words[i // 64] >> i % 64 & 1 else -1.0 for i in range(DIM)]


def thermometer(level):
    ones = DIM * level // (LEVELS - 1)
    return [1.0] * ones + [-1.0] * (DIM - ones)


def read(path):
    """Training and held-out pixels and labels: of each class, every fifth from the first is held out."""
    seen, parts = [0] * CLASSES, ([], [])
    with open(path) as file:
        for row in csv.reader(file):
            *pixels, label = map(int, row)
            parts[seen[label] % FOLDS == 0].append((pixels, label))
            seen[label] += 1
    return parts


def encode(samples, keys, levels):
    images = []
    for pixels, _ in samples:
        values = levels[torch.tensor(pixels)]
        images.append(torch.sign(torchhd.multiset(torchhd.bind(keys, values))))
    return torch.stack(images).as_subclass(torchhd.MAPTensor)


def right(weights, images, labels):
    return int((torchhd.cos(images, weights).argmax(1) == labels).sum())


def correct(sums, weights, images, labels):
    """One epoch: an image taken for another class is added to its own and taken off the other."""
    wrong = 0
    for image, label in zip(images, labels):
        taken_for = int(torchhd.cos(image, weights(sums)).argmax())
        if taken_for != int(label):
            wrong += 1
            sums[label] += image
            sums[taken_for] -= image
    return wrong


def main():
    keys = torchhd.MAPTensor([random(seed) for seed in range(PIXELS)])
    levels = torchhd.MAPTensor([thermometer(level) for level in range(LEVELS)])
    training, held_out = read(sys.argv[1])
    labels = [torch.tensor([label for _, label in part]) for part in (training, held_out)]
    training, held_out = (encode(part, keys, levels) for part in (training, held_out))
    model = Centroid(DIM, CLASSES)
    model.add(training, labels[0])
    start = model.weight.detach().clone().as_subclass(torchhd.MAPTensor)
    for name, weights in (("signs", torch.sign), ("sums", lambda sums: sums)):
        sums = start.clone()
        print(f"{name}, one look: {right(weights(sums), held_out, labels[1])} of {len(held_out)}")
        for epoch in range(1, EPOCHS + 1):
            wrong = correct(sums, weights, training, labels[0])
            if epoch % 5 == 0 or wrong == 0:
                count = right(weights(sums), held_out, labels[1])
                print(f"{name}, epoch {epoch}: {wrong} corrections, {count} of {len(held_out)}")
            if wrong == 0:
                break


main()
