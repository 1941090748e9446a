import pytest

from penultimate.serve import attempts as module
from penultimate.serve.attempts import ADDRESSES, MOST, SECONDS, Attempts
from penultimate.serve.problems import RefusedError

from .conftest import in_loop, serving
from .test_app import check_problem

TOKEN = "a-token-of-20-letters"


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def attempts(clock):
    return Attempts(clock)


def refused(attempts, address):
    try:
        attempts.check(address)
    except RefusedError as error:
        return int(error.headers["Retry-After"]) if error.status == 429 else None
    return None


def test_after_so_many_an_address_waits(attempts, clock):
    for _ in range(MOST):
        assert refused(attempts, "10.0.0.1") is None
        attempts.note_wrong("10.0.0.1")
    assert refused(attempts, "10.0.0.1") == SECONDS
    assert refused(attempts, "10.0.0.2") is None
    clock.now = SECONDS - 0.5
    assert refused(attempts, "10.0.0.1") == 1
    clock.now = SECONDS + 1
    assert refused(attempts, "10.0.0.1") is None
    attempts.note_wrong("10.0.0.1")  # counted from one again
    assert refused(attempts, "10.0.0.1") is None


def test_a_wrong_token_now_and_then_is_forgotten(attempts, clock):
    for _ in range(3 * MOST):
        attempts.note_wrong("10.0.0.1")
        clock.now += SECONDS + 1
    assert refused(attempts, "10.0.0.1") is None


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("", "10.0.0.1", False),
        ("not an address", "10.0.0.1", False),
    ],
)
def test_what_is_one_address(attempts, one, other, is_same):
    for _ in range(MOST):
        attempts.note_wrong(one)
    assert refused(attempts, one) is not None
    assert (refused(attempts, other) is not None) == is_same


def test_the_table_does_not_grow(attempts, monkeypatch):
    assert ADDRESSES <= 10_000
    monkeypatch.setattr(module, "ADDRESSES", 50)
    for _ in range(MOST):
        attempts.note_wrong("10.9.9.9")
    for k in range(49):
        attempts.note_wrong(f"10.0.0.{k}")
    assert refused(attempts, "10.9.9.9") is not None
    for k in range(500):
        attempts.note_wrong(f"10.1.{k // 250}.{k % 250}")
        assert len(attempts) <= 50


@in_loop
async def test_a_guessed_token(models, files):
    """Who guesses waits; who has the token, elsewhere, does not."""
    async with serving(models["digits"], token=TOKEN, hosts=None) as client:
        transport = client._transport
        right, wrong = ({"Authorization": f"Bearer {each}"} for each in (TOKEN, TOKEN[:-1]))
        for _ in range(3 * MOST):  # without a token nothing is guessed
            check_problem(await client.get("/v1/model"), 401, "token")
        for _ in range(MOST - 3):
            check_problem(await client.get("/v1/model", headers=wrong), 401, "token")
        cookie = {"Cookie": "penultimate=0"}
        check_problem(await client.get("/v1/model", headers=cookie), 401, "token")
        for _ in range(2):
            answer = await client.post("/sign-in", data={"token": "guess"})
            assert answer.status_code == 401
        for headers in (right, wrong, {}):
            answer = await client.get("/v1/model", headers=headers)
            check_problem(answer, 429, f"{MOST} wrong tokens from your address")
            assert 0 < int(answer.headers["retry-after"]) <= SECONDS
        assert (await client.post("/sign-in", data={"token": TOKEN})).status_code == 429
        assert (await client.get("/healthz")).status_code == 200
        transport.client = ("10.0.0.7", 1)
        assert (await client.get("/v1/model", headers=right)).status_code == 200
