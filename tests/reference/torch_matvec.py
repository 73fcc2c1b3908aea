"""Times half-precision products of a matrix with one vector: the peer of `gpu`'s products.

    python torch_matvec.py ROWSxCOLS [ROWSxCOLS …]

Prints a Markdown table. As many matrices are used as are larger together than any cache; the median
of seven replays of a CUDA graph counts. Exits with 3 where there is no torch or no GPU.
"""

import statistics
import sys


def seconds(torch, matrices, x):
    """Seconds for one product."""
    for matrix in matrices[:3]:
        torch.mv(matrix, x)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for matrix in matrices:
            torch.mv(matrix, x)
    times = []
    for _ in range(8):
        start = torch.cuda.Event(enable_timing=True)
        end = torch.cuda.Event(enable_timing=True)
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1000 / len(matrices))
    return statistics.median(times[1:])


def main(shapes):
    try:
        import torch
    except ImportError as error:
        print(f"torch_matvec: {error}", file=sys.stderr)
        return 3
    if not torch.cuda.is_available():
        print("torch_matvec: torch finds no GPU", file=sys.stderr)
        return 3
    print(f"torch {torch.__version__}, float16\n")
    print("| matrix | one vector | GB/s |\n|---|---|---|")
    for shape in shapes:
        rows, cols = (int(n) for n in shape.split("x"))
        size = 2 * rows * cols
        copies = -(-(1 << 30) // size)
        matrices = [torch.randn(rows, cols, device="cuda", dtype=torch.float16) for _ in range(copies)]
        x = torch.randn(cols, device="cuda", dtype=torch.float16)
        time = seconds(torch, matrices, x)
        print(f"| {rows}×{cols} | {1e6 * time:.2f} µs | {size / time / 1e9:.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
