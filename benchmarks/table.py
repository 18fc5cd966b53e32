"""Results as Markdown tables: the same text on the terminal and in docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from .candidate import AUTOGRAD, JAX, PLAIN_JAX, PYTORCH
from .growth import Curve, fit
from .measure import RowResult, Sample
from .peers_ode import Flow, FlowResult
from .rates import Rates

__all__ = [
    "details",
    "duration",
    "flow_table",
    "growth_table",
    "main_table",
    "markdown",
    "rates_table",
    "shapes_table",
    "verdict",
]

NONE = "–"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with its columns aligned, so that it reads well unrendered too."""
    lines = [list(head), *[list(row) for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]

    def text(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([text(lines[0]), rule, *[text(line) for line in lines[1:]]])


def duration(seconds: float) -> str:
    """Three digits with a unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{_digits(seconds / size)} {unit}"
    return f"{_digits(seconds / 1e-9)} ns"


def _digits(value: float) -> str:
    """Three significant digits without an exponent."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:.0f}" if rounded >= 100 else f"{rounded:.1f}" if rounded >= 10 else f"{rounded:.2f}"


def _spread(sample: Sample) -> str:
    return f"{duration(sample.seconds)} ({duration(min(sample.wall))} … {duration(max(sample.wall))})"


def _scale(sample: Sample) -> str:
    return "" if sample.scale == 1.0 else f" ×{sample.scale:g}"


def verdict(value: float | None, asked: float | None, at_most: bool) -> str:
    """ "≤ 2: met", "≥ 2: missed", or a dash where nothing was asked."""
    if asked is None:
        return NONE
    text = f"{'≤' if at_most else '≥'} {asked:g}"
    if value is None:
        return f"{text}: open"
    return f"{text}: {'met' if (value <= asked if at_most else value >= asked) else 'missed'}"


def main_table(results: Sequence[RowResult]) -> str:
    """One line a row: ours against the bound and against the best of every library."""
    others = (PLAIN_JAX, PYTORCH, AUTOGRAD)
    head = [
        "work", "ours (least … most)", "bound", "time ÷ bound", "asked", "best JAX", "× faster", "asked",
        *[f"× {library.name}" for library in others], "peak memory",
    ]  # fmt: skip
    lines = []
    for result in results:
        row, ours = result.row, result.ours
        over = ours.seconds / result.bound.seconds if ours and result.bound else None
        best = result.best(*[library.name for library in JAX])
        faster = result.times_faster(best)[0] if ours and best else None
        lines.append(
            [
                row.title,
                _spread(ours) if ours else "not available",
                duration(result.bound.seconds) if result.bound else NONE,
                _digits(over) if over else NONE,
                verdict(over, row.most_bound, at_most=True),
                duration(best.seconds) + _scale(best) if best else NONE,
                _digits(faster) if faster else NONE,
                verdict(faster, row.least_faster, at_most=False),
                *[_ratio(result, result.best(library.name)) for library in others],
                f"{result.memory / 2**20:.1f} MiB" if result.memory is not None else NONE,
            ]
        )
    return markdown(head, lines)


def _ratio(result: RowResult, sample: Sample | None) -> str:
    if sample is None or result.ours is None:
        return NONE
    return _digits(result.times_faster(sample)[0]) + _scale(sample)


def shapes_table(own: Sequence[RowResult], narrow: Sequence[RowResult], title: str) -> str:
    """Share of the bound and the ratio to the best JAX of every row that was measured on both shapes."""

    def cells(result: RowResult) -> list[str]:
        ours, best = result.ours, result.best(*[library.name for library in JAX])
        return [
            duration(ours.seconds) if ours else NONE,
            f"{result.bound.seconds / ours.seconds:.2f}" if ours and result.bound else NONE,
            _digits(result.times_faster(best)[0]) if ours and best else NONE,
        ]

    others = {result.row.key: result for result in narrow}
    columns = ("ours", "bound ÷ time", "× JAX")
    head = ["work", *columns, *(f"{name}, {title}" for name in columns)]
    lines = [
        [result.row.title, *cells(result), *cells(others[result.row.key])]
        for result in own
        if result.row.key in others
    ]
    return markdown(head, lines)


def details(result: RowResult) -> str:
    """Every candidate that was timed in a row, the fastest first."""
    work = result.row.work
    lines = []
    samples = [*([result.ours] if result.ours else []), *result.peers]
    for sample in sorted(samples, key=lambda sample: sample.seconds):
        middle, least, most = result.times_faster(sample) if result.ours else (0.0, 0.0, 0.0)
        lines.append(
            [
                f"{sample.library}: {sample.name}",
                _spread(sample) + _scale(sample),
                duration(median(sample.cpu)),
                f"{_digits(middle)} ({_digits(least)} … {_digits(most)})" if result.ours else NONE,
                f"{sample.deviation:.0e}" if sample.deviation else NONE,
            ]
        )
    head = ["candidate", "time (least … most)", "processor time", "÷ ours (least … most)", "deviation"]
    weights = "the paper's weights" if work.weights == "paper" else "Gaussian W"
    low, high = work.span
    about = (
        f"**{result.row.title}**: {work.scheme}, N = {work.n_steps}, {work.members} step sizes {low:g} … "
        f"{high:g}, {weights}, {result.row.rounds} rounds."
    )
    if result.bound:
        about += (
            f" Bound: products {duration(result.bound.products)} + tanh {duration(result.bound.tanh)}; "
            f"the updates would add {duration(result.bound.updates)}."
        )
        if result.ours:
            about += (
                f" Ours ÷ bound with updates: {_digits(result.ours.seconds / result.bound.with_updates)}."
            )
    parts = [about, markdown(head, lines)]
    if result.missing:
        parts.append("Not available: " + "; ".join(result.missing) + ".")
    return "\n\n".join(parts)


def rates_table(rates: Rates) -> str:
    """The rates that the bound is measured in."""

    def line(name: str, pair: tuple[float, float], unit: float) -> list[str]:
        return [name, *(f"{rate / unit:.3g}" for rate in pair)]

    blas = f"{rates.blas}, " if rates.blas else ""
    lines = [
        line(f"dgemm, Gflop/s ({blas}best at order {rates.size})", rates.dgemm, 1e9),
        line("our tanh with its derivative, 10⁹/s", rates.tanh, 1e9),
        line("NumPy's tanh, 10⁹/s", rates.numpy_tanh, 1e9),
    ]
    if rates.xla_tanh is not None:
        lines.append(["XLA's tanh, 10⁹/s (not in the bound)", f"{rates.xla_tanh / 1e9:.3g}", NONE])
    return markdown(["rate", "one thread", f"{rates.cores} threads"], lines)


def flow_table(flow: Flow, results: Sequence[FlowResult], missing: Sequence[str]) -> str:
    """The continuous-time problem, and in words who wins it."""
    lines = [
        [
            result.name,
            result.setting,
            duration(median(result.seconds)),
            f"{result.error:.0e}",
            duration(result.preparation) if result.preparation else NONE,
        ]
        for result in sorted(results, key=lambda result: median(result.seconds))
    ]
    parts = [
        f"ÿ = tanh(W y + b), d = {flow.d}, one trajectory, ∂y(t)/∂y(0) at t = {flow.time:g} to "
        f"{flow.accuracy:g}:",
        markdown(["candidate", "setting", "time", "error", "compilation, not in the time"], lines),
    ]
    heyoka = [result for result in results if result.name.startswith("heyoka")]
    if heyoka:
        best = min(heyoka, key=lambda result: median(result.seconds))
        ratio = median(best.seconds) / median(results[0].seconds)
        outcome = f"{_digits(1 / ratio)} times faster" if ratio < 1.0 else f"{_digits(ratio)} times slower"
        parts.append(f"{best.name} is {outcome} than {results[0].name}.")
    if missing:
        parts.append("Not available: " + "; ".join(missing) + ".")
    return "\n\n".join(parts)


def growth_table(curves: Sequence[Curve]) -> str:
    """Fitted exponents beside those of the operation count."""
    lines = []
    for curve in curves:
        found = fit(curve.sizes, curve.seconds)
        lines.append(
            [
                curve.name,
                curve.held,
                f"{curve.sizes[0]} … {curve.sizes[-1]}",
                f"{found.exponent:.2f} from {curve.sizes[found.first]} on",
                f"{curve.expected:g}",
                ", ".join(f"{slope:.2f}" for slope in found.local),
            ]
        )
    head = ["grows", "held", "range", "fitted exponent", "operations", "exponents between neighbours"]
    return markdown(head, lines)
