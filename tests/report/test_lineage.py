"""The picture of a search: who came from whom, and the same bytes for the same search."""

from hpcdl.report.lineage import Node, ancestry, best_so_far, lineage, lineage_files, means

NODES = [
    Node(0, 1, 0.5),
    Node(1, 1, 0.7),
    Node(2, 1, None),
    Node(3, 2, 0.9, (1, 0)),
    Node(4, 2, 0.6, (1,)),
    Node(5, 3, 0.8, (4, 3)),
]


def test_the_family_of_the_best():
    assert ancestry(NODES, maximizes=True) == {3, 1, 0}
    assert ancestry(NODES, maximizes=False) == {0}
    assert ancestry([Node(0, 1, None)], maximizes=True) == set()


def test_best_so_far_never_falls_and_means_are_of_what_counts():
    assert best_so_far(NODES, maximizes=True) == [(1, 0.7), (2, 0.9), (3, 0.9)]
    assert best_so_far(NODES, maximizes=False) == [(1, 0.5), (2, 0.5), (3, 0.5)]
    assert means(NODES) == [(1, 0.6), (2, 0.75), (3, 0.8)]


def test_every_individual_is_a_point_with_a_line_to_each_parent():
    (axes,) = lineage(NODES, "val accuracy", maximizes=True).axes
    points = [line for line in axes.get_lines() if line.get_marker() in ("o", "x")]
    heights = [float(line.get_ydata()[0]) for line in points]
    assert heights[:2] == [0.5, 0.7]
    assert heights[2] < 0.5  # the failed one lies below the worst
    assert [line.get_marker() for line in points].count("x") == 1
    pairs = {tuple(map(float, line.get_ydata())) for line in axes.get_lines() if len(line.get_ydata()) == 2}
    assert pairs == {(0.7, 0.9), (0.5, 0.9), (0.7, 0.6), (0.6, 0.8), (0.9, 0.8)}


def test_the_same_search_makes_the_same_files():
    first, second = (dict(lineage_files(NODES, "val accuracy", maximizes=True)) for _ in range(2))
    assert set(first) == {"lineage.png", "lineage.svg", "lineage.pdf"}
    assert first == second


def test_a_search_of_which_nothing_counts_is_drawn_too():
    assert dict(lineage_files([Node(0, 1, None), Node(1, 1, None)], "loss", maximizes=False))
