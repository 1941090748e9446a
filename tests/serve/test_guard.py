"""Who may ask: the token, the name of the service, the page that asks."""

import pytest

from penultimate.serve.running import check_token

from .conftest import in_loop, serving
from .test_app import PNG, check_problem

TOKEN = "a-token-of-20-letters"


@in_loop
async def test_with_a_token_only_its_owner_may_ask(models, files):
    async with serving(models["digits"], token=TOKEN, hosts=None) as client:

        async def ask(**headers):
            return await client.post("/v1/predict", content=files[0], headers=PNG | headers)

        for wrong in (None, "", TOKEN, f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", "Bearer \xff"):
            headers = {} if wrong is None else {"Authorization": wrong.encode("latin-1")}
            response = await ask(**headers)
            check_problem(response, 401, "Authorization: Bearer")
            assert response.headers["www-authenticate"] == "Bearer"
            assert response.headers["connection"] == "close"
        assert (await ask(Authorization=f"Bearer {TOKEN}")).status_code == 200
        assert (await ask(Authorization=f"bearer  {TOKEN}")).status_code == 200
        for path in ("/metrics", "/v1/model", "/v1/models", "/openapi.json", "/nothing"):
            check_problem(await client.get(path), 401, "token")
        for path in ("/healthz", "/readyz"):
            assert (await client.get(path)).status_code == 200


@in_loop
async def test_under_a_foreign_name_nothing_is_answered(models):
    """A page can let its own name point to this machine, and then read what it answers."""
    async with serving(models["digits"]) as client:
        for host, status in (
            ("localhost:8000", 200),
            ("LOCALHOST", 200),
            ("127.0.0.1:1", 200),
            ("[::1]:8000", 200),
            ("evil.example:8000", 421),
            ("127.0.0.1.evil.example", 421),
            ("", 421),
        ):
            response = await client.get("/v1/model", headers={"Host": host})
            assert response.status_code == status, host


@in_loop
async def test_a_page_of_another_origin_may_not_ask(models, files):
    async with serving(models["digits"]) as client:
        for headers, status in (
            ({"Origin": "http://localhost"}, 200),
            ({"Origin": "https://evil.example"}, 403),
            ({"Origin": "http://localhost:81"}, 403),
            ({"Origin": "null"}, 403),
            ({"Sec-Fetch-Site": "cross-site"}, 403),
            ({"Sec-Fetch-Site": "same-site"}, 403),
            ({"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}, 200),
        ):
            response = await client.post("/v1/predict", content=files[0], headers=PNG | headers)
            assert response.status_code == status, headers
            assert not any(name.startswith("access-control") for name in response.headers)
        response = await client.options("/v1/predict", headers={"Origin": "http://localhost"})
        check_problem(response, 405, "OPTIONS")
        assert response.headers["x-content-type-options"] == "nosniff"


@in_loop
async def test_head_is_answered_as_get_without_a_body(models):
    async with serving(models["digits"], token=TOKEN, hosts=None) as client:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        for path in ("/", "/healthz", "/readyz", "/v1/model", "/page/page.css", "/nothing"):
            asked = await client.get(path, headers=bearer)
            head = await client.head(path, headers=bearer)
            assert (head.status_code, head.content) == (asked.status_code, b""), path
            assert head.headers["content-length"] == str(len(asked.content)), path
        assert (await client.head("/v1/model")).status_code == 401
        assert (await client.head("/v1/predict", headers=bearer)).status_code == 405


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "127.8.8.8", "localhost"])
def test_on_the_loopback_no_token_is_needed(host):
    check_token(host, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org"])
def test_beyond_it_one_is(host):
    with pytest.raises(ValueError, match="there is no token that they have to know"):
        check_token(host, None)
    check_token(host, TOKEN)
    for token in ("short", "", "a token\nof two lines", "\xe4" * 20):
        with pytest.raises(ValueError, match="at least 16 characters, all of them printable"):
            check_token(host, token)
