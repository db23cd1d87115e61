"""What libFuzzer is given: seeds, words, its command line, mutations. The run itself needs clang: libfuzzer.sh."""

from tests.fuzz.libfuzzer import dictionary, mixed, prepared
from tests.fuzz.mutations import LENGTH_MAX
from tests.fuzz.targets import Target

TARGET = Target("deaf", lambda rng: [b"1", b"two", b"x" * (LENGTH_MAX + 1)], lambda data: None)


def test_words_are_written_byte_by_byte():
    """A word is a quoted line in which nothing needs a rule of its own."""
    assert dictionary([b'"a":', b"\0\xff"]) == '"\\x22\\x61\\x22\\x3a"\n"\\x00\\xff"\n'


def test_seeds_are_files_and_the_corpus_is_kept(tmp_path):
    """Seeds are written once, cut to what an input may be; what an earlier run found stays; findings name targets."""
    options = prepared(TARGET, tmp_path)
    (tmp_path / "corpus-deaf/found").write_bytes(b"new")
    assert prepared(TARGET, tmp_path) == options
    assert sorted(path.stat().st_size for path in (tmp_path / "seeds-deaf").iterdir()) == [1, 3, LENGTH_MAX]
    assert (tmp_path / "corpus-deaf/found").read_bytes() == b"new"
    assert options[-2:] == [str(tmp_path / "corpus-deaf"), str(tmp_path / "seeds-deaf")]
    assert f"-artifact_prefix={tmp_path}/deaf-" in options


def test_half_of_the_mutations_are_libfuzzers():
    """Whose mutation it is comes from the seed, as does ours; none is longer than libFuzzer allows."""
    data, asked = b'{"a":[1,2.5]}' * 9, []
    mutate = mixed([b"7" * 400], lambda origin, length_max: asked.append(length_max) or b"plain")
    first, second = ([mutate(data, 100, seed) for seed in range(400)] for _ in range(2))
    assert first == second
    assert set(asked) == {100}
    assert 100 < first.count(b"plain") < 300
    assert max(map(len, first)) == 100
