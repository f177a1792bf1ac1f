"""What is remembered stays within its bound."""

from features.memory import Memory


def test_a_full_memory_forgets_all_and_goes_on():
    memory = Memory(3)
    for n in range(3):
        assert memory.keep(n, -n) == -n
    assert dict(memory) == {0: 0, 1: -1, 2: -2}
    memory.keep(3, -3)
    assert dict(memory) == {3: -3}
