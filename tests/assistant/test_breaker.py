"""When a model is left alone, and how it comes back."""

from taskchat.assistant.models.breaker import REST_S_MAX, CircuitBreaker


class Clock:
    """Goes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def breaker(clock: Clock, failures_max: int = 2) -> CircuitBreaker:
    return CircuitBreaker("m", failures_max=failures_max, open_s=30, clock=clock)


def test_failures_in_a_row_open_it_and_an_answer_between_them_starts_the_count_anew() -> None:
    one = breaker(Clock())
    one.failed()
    one.succeeded()
    one.failed()
    assert one.admits()
    one.failed()
    assert not one.admits()
    assert one.rests_s == 30


def test_one_call_finds_out_whether_the_model_is_back() -> None:
    clock = Clock()
    one = breaker(clock)
    one.failed()
    one.failed()
    clock.now = 29.9
    assert not one.admits()
    clock.now = 30
    assert one.admits()
    assert not one.admits(), "the others wait for what the one finds out"
    one.failed()
    assert one.rests_s == 30
    clock.now = 60
    assert one.admits()
    one.succeeded()
    assert one.admits()
    assert one.admits()


def test_a_call_that_was_cancelled_leaves_the_finding_out_to_another() -> None:
    clock = Clock()
    one = breaker(clock)
    one.failed()
    one.failed()
    clock.now = 30
    assert one.admits()
    one.left()
    assert one.admits()


def test_a_model_rests_for_as_long_as_it_asks_but_not_for_days() -> None:
    clock = Clock()
    one = breaker(clock)
    one.rest(12)
    assert one.rests_s == 12
    one.rest(86_400)
    assert one.rests_s == REST_S_MAX
    clock.now = REST_S_MAX
    assert one.admits()
    one.failed()
    assert one.rests_s == 30, "one failure is enough for who is being tried"


def test_no_failures_open_it_where_it_is_switched_off() -> None:
    one = breaker(Clock(), failures_max=0)
    for _ in range(100):
        one.failed()
    one.rest(100)
    assert one.admits()
