"""The tasks over REST, by the same rules as the tools."""

import httpx
import pytest
from tests.factories import Person


async def add(client: httpx.AsyncClient, person: Person, **body: object) -> httpx.Response:
    return await client.post(f"/api/{person.user_id}/tasks", json=body, headers=person.headers)


async def test_a_task_is_created_read_changed_and_deleted(client: httpx.AsyncClient) -> None:
    person = Person()
    created = await add(client, person, title="Buy milk", description="2 litres")
    assert created.status_code == 201
    task = created.json()
    assert (task["id"], task["title"], task["completed"]) == (1, "Buy milk", False)
    path = f"/api/{person.user_id}/tasks/1"
    assert (await client.get(path, headers=person.headers)).json() == task
    changed = await client.patch(
        path, json={"completed": True, "title": "Buy oat milk"}, headers=person.headers
    )
    assert changed.status_code == 200
    assert changed.json()["completed"] is True
    assert changed.json()["description"] == "2 litres"
    assert (await client.delete(path, headers=person.headers)).status_code == 204
    gone = await client.get(path, headers=person.headers)
    assert (gone.status_code, gone.json()["error_code"]) == (404, "not_found")
    assert (await client.delete(path, headers=person.headers)).status_code == 404
    assert (await add(client, person, title="Next")).json()["id"] == 2


async def test_a_list_is_read_page_by_page_without_a_gap(client: httpx.AsyncClient) -> None:
    person = Person()
    for number in range(5):
        await add(client, person, title=f"task {number}")
    await client.patch(
        f"/api/{person.user_id}/tasks/2", json={"completed": True}, headers=person.headers
    )
    seen: list[int] = []
    cursor = None
    for _ in range(5):
        params = {"limit": "2"} | ({"after": cursor} if cursor else {})
        page = (
            await client.get(f"/api/{person.user_id}/tasks", params=params, headers=person.headers)
        ).json()
        seen += [task["id"] for task in page["data"]]
        cursor = page["next_cursor"]
        if not page["has_more"]:
            break
    assert seen == [1, 2, 3, 4, 5]
    assert cursor is None
    for status, expected in (("completed", [2]), ("pending", [1, 3, 4, 5])):
        page = (
            await client.get(
                f"/api/{person.user_id}/tasks",
                params={"status": status},
                headers=person.headers,
            )
        ).json()
        assert [task["id"] for task in page["data"]] == expected


@pytest.mark.parametrize(
    "body",
    [
        {"title": ""},
        {"title": "x" * 201},
        {"title": "x", "description": "y" * 2001},
        {"title": 7},
        {"title": "x", "completed": True},
        {"title": "a\x00b"},
    ],
)
async def test_a_task_that_breaks_a_rule_is_refused(
    client: httpx.AsyncClient, body: dict[str, object]
) -> None:
    answer = await add(client, Person(), **body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "invalid_request")
    assert answer.json()["details"]


async def test_a_change_of_nothing_is_refused(client: httpx.AsyncClient) -> None:
    person = Person()
    await add(client, person, title="Here")
    answer = await client.patch(f"/api/{person.user_id}/tasks/1", json={}, headers=person.headers)
    assert answer.status_code == 400


@pytest.mark.parametrize("number", [str(2**63), str(2**31), "99999999999999999999"])
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_a_number_that_no_task_has_is_not_found(
    client: httpx.AsyncClient, number: str, method: str
) -> None:
    person = Person()
    body = {"completed": True} if method == "PATCH" else None
    answer = await client.request(
        method, f"/api/{person.user_id}/tasks/{number}", json=body, headers=person.headers
    )
    assert answer.status_code == 404


async def test_a_null_in_a_change_is_as_if_it_were_not_given(client: httpx.AsyncClient) -> None:
    person = Person()
    task = (await add(client, person, title="Buy milk", description="2 litres")).json()
    changed = await client.patch(
        f"/api/{person.user_id}/tasks/1",
        json={"title": None, "description": None, "completed": True},
        headers=person.headers,
    )
    assert changed.status_code == 200, changed.text
    assert changed.json() == {**task, "completed": True, "updated_at": changed.json()["updated_at"]}
