"""The statistics of monitor/ against scipy and scikit-learn, on a few hundred random pairs and the edges of each.

The numbers come through tests/unit/statistics_oracle.c. Unless a test says otherwise they agree to 1e-9: of the value where
it is above 1, absolute below, and p-values relative to themselves down to 1e-290 as well."""

import math
import os
import subprocess

import numpy
import pytest
from scipy import special, stats
from scipy.spatial import distance
from sklearn import calibration, metrics

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("WEIR_BUILD", f"{ROOT}/build")
ORACLE = f"{BUILD}/tests/unit/statistics_oracle"


def ask(lines):
    done = subprocess.run([ORACLE], input="\n".join(lines) + "\n", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answers = [[float(number) for number in line.split()] for line in done.stdout.splitlines()]
    assert len(answers) == len(lines)
    return answers


def near(ours, theirs, tolerance=1e-9):
    if math.isnan(theirs):
        return math.isnan(ours)
    return abs(ours - theirs) <= tolerance * max(1.0, abs(theirs))


def near_p(ours, theirs):
    """To 1e-9, and where it can be told to 1e-9 of itself too: a test that calls everything below 1e-9 nought must fail."""
    return near(ours, theirs) and (theirs < 1e-290 or abs(ours - theirs) <= 1e-9 * theirs)


# ---- histograms ----

def pairs():
    """(name, observed, expected): 320 random ones of every size, then the edges."""
    random = numpy.random.default_rng(7)
    for i in range(320):
        bins = [2, 3, 10, 20, 240][i % 5]
        n, m = (int(10 ** random.uniform(0.5, 7)) for _ in range(2))
        expected = random.dirichlet(numpy.full(bins, 10 ** random.uniform(-1, 1.5)))
        observed = expected if i % 4 == 0 else random.dirichlet(numpy.full(bins, 10 ** random.uniform(-1, 1.5)))
        if i % 4 == 1:  # a slight shift, as drift is
            observed = 0.97 * expected + 0.03 * observed
        yield f"random {i}", random.multinomial(n, observed), random.multinomial(m, expected)
    yield "equal", [5, 6, 7], [5, 6, 7]
    yield "in proportion", [5, 6, 7], [500, 600, 700]
    yield "disjoint", [100, 0, 0, 0], [0, 0, 0, 100]
    yield "an empty bin each", [10, 0, 20, 5], [10, 7, 0, 5]
    yield "bins empty on both sides", [0, 4, 0, 9, 0], [0, 6, 0, 1, 0]
    yield "one event", [1, 0], [0, 1]
    yield "all in one bin of 20", [1000] + 19 * [0], 20 * [50]
    yield "billions", [4_000_000_000, 5_000_000_000], [5_000_000_000, 4_000_000_100]
    yield "billions, hardly apart", [4_500_000_000, 4_500_000_000], [4_500_050_000, 4_499_950_000]
    yield "one against a million", [1, 0, 0], [999_999, 1, 0]
    yield "200 categories, rare ones", [5] * 100 + [0] * 100, [0] * 99 + [1000] * 101


PAIRS = list(pairs())


@pytest.fixture(scope="module")
def answers():
    line = lambda counts: " ".join(str(int(count)) for count in counts)
    found = ask([f"histogram {len(o)} {line(o)} {line(e)}" for _, o, e in PAIRS])
    names = "psi kl js w d error_bound ks_p chi2 degrees chi2_p".split()
    return [dict(zip(names, values, strict=True)) for values in found]


def smoothed(counts):
    counts = numpy.asarray(counts, dtype=float)
    return (counts + 1) / (counts.sum() + len(counts))


def each(answers):
    for (name, observed, expected), answer in zip(PAIRS, answers, strict=True):
        yield name, numpy.asarray(observed, dtype=float), numpy.asarray(expected, dtype=float), answer


def test_there_are_enough_pairs():
    assert len(PAIRS) >= 300


def test_psi_is_the_divergence_both_ways(answers):
    for name, observed, expected, answer in each(answers):
        a, b = smoothed(observed), smoothed(expected)
        assert near(answer["psi"], stats.entropy(a, b) + stats.entropy(b, a)), name


def test_kullback_leibler(answers):
    for name, observed, expected, answer in each(answers):
        assert near(answer["kl"], stats.entropy(smoothed(observed), smoothed(expected))), name


def test_jensen_shannon(answers):
    for name, observed, expected, answer in each(answers):
        a, b = smoothed(observed), smoothed(expected)
        # scipy's is the square root, so near 0 it has half of the digits: twice the divergence by entropies beside it
        c = (a + b) / 2
        assert near(answer["js"], (stats.entropy(a, c, base=2) + stats.entropy(b, c, base=2)) / 2), name
        assert near(answer["js"], distance.jensenshannon(a, b, base=2) ** 2), name


def test_cohens_w_is_the_root_of_the_one_sample_chi_square_per_event(answers):
    for name, observed, expected, answer in each(answers):
        a, b = smoothed(observed), smoothed(expected)
        assert near(answer["w"], math.sqrt(stats.power_divergence(a, b, ddof=0).statistic)), name


def test_chi_square(answers):
    for name, observed, expected, answer in each(answers):
        table = numpy.array([observed, expected])
        test = stats.chi2_contingency(table[:, table.sum(axis=0) > 0], correction=False)
        assert near(answer["chi2"], test.statistic), name
        assert answer["degrees"] == test.dof, name
        assert near(answer["chi2_p"], test.pvalue), name
        # far out p falls by as much as the statistic is off in its last digits: the tail is compared at the same point
        assert test.dof == 0 or near_p(answer["chi2_p"], stats.chi2.sf(answer["chi2"], test.dof)), name


def test_kolmogorov_smirnov(answers):
    for name, observed, expected, answer in each(answers):
        n, m = observed.sum(), expected.sum()
        d = numpy.abs(observed.cumsum() / n - expected.cumsum() / m).max()
        assert near(answer["d"], d), name
        assert near_p(answer["ks_p"], special.kolmogorov(math.sqrt(n * m / (n + m)) * answer["d"])), name


def test_the_d_of_the_values_lies_within_the_stated_bound():
    """240 bins cut by the baseline's quantiles; scipy has the values themselves."""
    random = numpy.random.default_rng(11)
    cases = []
    for i in range(200):
        m, n = int(10 ** random.uniform(2.5, 4.3)), int(10 ** random.uniform(1.5, 4.3))
        baseline, now = random.normal(size=m), random.normal(random.uniform(-0.5, 0.5), random.uniform(0.7, 1.4), size=n)
        if i % 4 == 1:
            baseline, now = numpy.exp(baseline), numpy.exp(now)
        if i % 4 == 2:  # ties
            baseline, now = numpy.round(3 * baseline), numpy.round(3 * now)
        if i % 4 == 3:  # ties of the baseline, and values between its edges
            baseline = numpy.round(3 * baseline)
        edges = numpy.unique(numpy.sort(baseline)[[-(-k * m // 240) - 1 for k in range(1, 240)]])
        count = lambda values: numpy.bincount(numpy.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
        cases.append((i, now, baseline, count(now), count(baseline)))
    line = lambda counts: " ".join(map(str, counts))
    found = ask([f"histogram {len(o)} {line(o)} {line(e)}" for *_, o, e in cases])
    for (i, now, baseline, *_), answer in zip(cases, found, strict=True):
        d, bound = answer[4:6]
        exact = stats.ks_2samp(now, baseline).statistic
        assert d - 1e-12 <= exact <= d + bound + 1e-12, i
        if i % 4 < 2:  # without ties the bound is that of the quantiles
            assert bound <= 1 / 240 + 1 / len(baseline) + 1e-12, i
        if i % 4 == 2:  # values that all lie on edges: nothing is lost
            assert len(numpy.setdiff1d(now, baseline)) > 0 or near(d, exact), i


def test_a_side_without_values_has_no_test():
    found = ask(["histogram 2 0 0 3 4", "histogram 2 3 4 0 0", "histogram 1 7 9"])
    for answer in found[:2]:
        assert all(math.isnan(x) for x in answer[4:8] + answer[9:])
    assert found[2][:4] == [0, 0, 0, 0] and found[2][4] == 0 and found[2][6:] == [1, 0, 0, 1]


# ---- the functions behind the p-values ----

def test_the_incomplete_gamma_function_over_its_whole_range():
    random = numpy.random.default_rng(3)
    cases = [(a, a * x) for a in 10 ** random.uniform(-1, 5.5, 300) for x in (0, 0.01, 0.5, 0.9, 0.99, 1, 1.01, 1.1, 2, 10)]
    cases += [(0.5, x) for x in 10 ** random.uniform(-8, 2.8, 200)]
    cases += [(df / 2, x) for df in (1, 2, 3, 19, 20, 21, 239, 255) for x in 10 ** random.uniform(-2, 2.8, 50)]
    for (a, x), (ours,) in zip(cases, ask([f"gamma {a:.17g} {x:.17g}" for a, x in cases]), strict=True):
        assert near_p(ours, special.gammaincc(float(f"{a:.17g}"), float(f"{x:.17g}"))), (a, x)


def test_kolmogorovs_distribution_over_its_whole_range():
    cases = list(numpy.linspace(0, 19, 3801)) + [1e-300, 1e-9, 0.0399, 0.0401, 0.8999999, 0.9, 0.9000001, 25.0, 1e6]
    for x, (ours,) in zip(cases, ask([f"kolmogorov {x:.17g}" for x in cases]), strict=True):
        assert near_p(ours, special.kolmogorov(x)), x


def test_false_discovery_control():
    random = numpy.random.default_rng(5)
    cases = [random.uniform(size=n) ** random.uniform(1, 6) for n in (1, 2, 3, 10, 200) for _ in range(10)]
    cases += [numpy.array([0.01] * 5), numpy.array([0.0, 1.0, 0.5]), numpy.array([0.04, 0.01, 0.04, 0.03])]
    found = ask([f"false_discovery {len(p)} " + " ".join(f"{x:.17g}" for x in p) for p in cases])
    for p, ours in zip(cases, found, strict=True):
        assert numpy.allclose(ours, stats.false_discovery_control(p, method="bh"), rtol=1e-12, atol=0)
    # what was not tested stays so, and does not count
    ours = ask(["false_discovery 4 0.01 nan 0.02 nan"])[0]
    assert ours[0] == pytest.approx(0.02) and ours[2] == pytest.approx(0.02) and math.isnan(ours[1]) and math.isnan(ours[3])


def test_cohens_h():
    cases = [(0, 10, 0, 20), (5, 10, 5, 10), (10, 10, 0, 10), (30, 500, 1000, 100000), (3, 500, 0, 70000)]
    for (a, n, b, m), (ours,) in zip(cases, ask([f"shares {a} {n} {b} {m}" for a, n, b, m in cases]), strict=True):
        assert near(ours, 2 * numpy.arcsin(numpy.sqrt(a / n)) - 2 * numpy.arcsin(numpy.sqrt(b / m)))


# ---- labels ----

def scored_sets():
    """(name, threshold, scores, labels), both kinds of labels in each: 240 random sets, then the edges."""
    random = numpy.random.default_rng(13)
    for i in range(240):
        n = int(10 ** random.uniform(0.5, 3.7)) + 2
        truth = random.beta(0.3, 2, n)
        labels = (random.uniform(size=n) < truth).astype(int)
        labels[:2] = 0, 1
        scores = [truth, truth ** 2, numpy.round(truth, 1), random.uniform(size=n)][i % 4].astype(numpy.float32)
        yield f"random {i}", [0.5, 0.9, 0.1, 0.3][i % 4], scores, labels
    yield "perfect", 0.5, [0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]
    yield "upside down", 0.5, [0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1]
    yield "all tied", 0.5, [0.5] * 6, [0, 1, 0, 1, 1, 0]
    yield "the ends and the edges", 0.5, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1] * 2, [0, 1] * 11
    yield "tiny scores", 1e-6, [1e-7, 2e-7, 1e-6, 3e-5, 0], [0, 0, 1, 1, 0]
    yield "one each", 0.5, [0.3, 0.7], [1, 0]


SETS = [(name, threshold, numpy.asarray(scores, dtype=numpy.float32), numpy.asarray(labels)) for name, threshold, scores, labels in scored_sets()]


@pytest.fixture(scope="module")
def qualities():
    lines = [f"scored {threshold:.17g} {len(scores)} " + " ".join(f"{s:.9g} {label}" for s, label in zip(scores.tolist(), labels, strict=True))
             for _, threshold, scores, labels in SETS]
    names = "auc average_precision brier ece ece_decile precision recall f1 fp_ratio fp_rate".split()
    return [dict(zip(names, values, strict=True)) for values in ask(lines)]


def each_set(qualities):
    for (name, threshold, scores, labels), quality in zip(SETS, qualities, strict=True):
        yield name, threshold, scores.astype(float), labels, quality


def test_auc(qualities):
    for name, _, scores, labels, quality in each_set(qualities):
        assert near(quality["auc"], metrics.roc_auc_score(labels, scores)), name


def test_average_precision(qualities):
    for name, _, scores, labels, quality in each_set(qualities):
        assert near(quality["average_precision"], metrics.average_precision_score(labels, scores)), name


def test_brier(qualities):
    for name, _, scores, labels, quality in each_set(qualities):
        assert near(quality["brier"], metrics.brier_score_loss(labels, scores)), name


def test_ece_over_equal_widths(qualities):
    """From calibration_curve's bins; an edge belongs to the bin on its left in both."""
    for name, _, scores, labels, quality in each_set(qualities):
        share, mean = calibration.calibration_curve(labels, scores, n_bins=10, strategy="uniform")
        counts = numpy.bincount(numpy.searchsorted(numpy.linspace(0, 1, 11)[1:-1], scores), minlength=10)
        counts = counts[counts > 0]
        assert near(quality["ece"], float((counts / len(scores) * abs(share - mean)).sum())), name


def ece_over(bins, scores, labels):
    return sum(abs(scores[bins == b].sum() - labels[bins == b].sum()) for b in set(bins)) / len(scores)


def test_ece_over_deciles(qualities):
    """The decile edges are values of the data (numpy's inverted_cdf), where calibration_curve interpolates between them."""
    for name, _, scores, labels, quality in each_set(qualities):
        edges = numpy.quantile(scores, [k / 10 for k in range(1, 10)], method="inverted_cdf")
        assert near(quality["ece_decile"], ece_over(numpy.searchsorted(edges, scores, side="left"), scores, labels)), name


def test_ece_over_deciles_is_calibration_curves_where_no_edge_is_interpolated(qualities):
    """10 k + 1 different scores: the interpolated deciles are scores themselves, and the same ones up to the rule at an edge."""
    random = numpy.random.default_rng(17)
    scores = random.permutation(1001).astype(numpy.float32) / 1001
    labels = (random.uniform(size=1001) < scores).astype(int)
    line = " ".join(f"{s:.9g} {label}" for s, label in zip(scores.tolist(), labels, strict=True))
    ours = ask([f"scored 0.5 1001 {line}"])[0][4]
    wide = scores.astype(float)
    share, mean = calibration.calibration_curve(labels, wide, n_bins=10, strategy="quantile")
    counts = numpy.bincount(numpy.searchsorted(numpy.percentile(wide, numpy.linspace(0, 100, 11))[1:-1], wide), minlength=10)
    assert near(ours, float((counts / 1001 * abs(share - mean)).sum()))


def test_deciles_are_values_of_the_data():
    random = numpy.random.default_rng(19)
    cases = [random.beta(0.5, 2, n).astype(numpy.float32) for n in (1, 2, 9, 10, 11, 99, 1000, 1234)] + [numpy.float32([0.5] * 7)]
    for scores, ours in zip(cases, ask([f"deciles {len(s)} " + " ".join(f"{x:.9g}" for x in s.tolist()) for s in cases]), strict=True):
        n, ordered = len(scores), numpy.sort(scores)
        assert ours == [float(ordered[-(-k * n // 10) - 1]) for k in range(1, 10)]


def test_decisions_at_a_threshold(qualities):
    for name, threshold, scores, labels, quality in each_set(qualities):
        called = (scores >= threshold).astype(int)
        tn, fp, fn, tp = metrics.confusion_matrix(labels, called, labels=[0, 1]).ravel()
        precision, recall, f1, _ = metrics.precision_recall_fscore_support(labels, called, average="binary", zero_division=numpy.nan)
        assert near(quality["precision"], precision) and near(quality["recall"], recall) and near(quality["f1"], f1), name
        assert near(quality["fp_rate"], fp / (fp + tn)), name
        assert near(quality["fp_ratio"], fp / tp if tp else math.nan), name


# ---- distinct values ----

@pytest.mark.parametrize("kind", ["distinct", "distinct_text"])
def test_distinct_counts_are_within_five_standard_errors(kind):
    cases = [(start, start + n) for start in (0, 10**12) for n in (0, 1, 2, 10, 100, 1000, 5000, 10000, 30000, 100000, 1000000)]
    for (start, end), (ours,) in zip(cases, ask([f"{kind} {start} {end}" for start, end in cases]), strict=True):
        n = end - start
        assert abs(ours - n) <= max(5 * 1.04 / math.sqrt(4096) * n, 0.5 if n < 10 else 2), (n, ours)
