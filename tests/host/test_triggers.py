import json
from datetime import UTC, datetime, timedelta

from tests.harness.polling import poll
from tests.host.harness import NEVER, Azurite


def test_a_message_runs_its_function_and_what_fails_ends_in_the_poison_queue(azurite: Azurite, start_host):
    host = start_host(AzureWebJobsStorage=azurite.connection)

    assert host.request("POST", "/api/enqueue/good").status_code == 202
    assert host.request("POST", "/api/enqueue/fail").status_code == 202

    assert poll(lambda: azurite.take("orders-poison")) == ["fail"]
    (name,) = poll(lambda: azurite.names("results"))
    assert azurite.content("results", name) == b"good 1"
    assert name.endswith("-1")
    assert host.output.count("RuntimeError: this message cannot be taken") == 5
    assert host.get(f"/api/read/{name}").text == "good 1"
    assert host.get("/api/read/none").status_code == 404


def test_a_message_that_is_no_base64_goes_to_the_poison_queue(azurite: Azurite, start_host):
    start_host(AzureWebJobsStorage=azurite.connection, workers=1)
    client = azurite.queues.get_queue_client("orders")
    azurite.wait_for(queue="orders")

    client.send_message("not base64!")

    poison = azurite.queues.get_queue_client("orders-poison")
    azurite.wait_for(queue="orders-poison")
    (message,) = poll(lambda: list(poison.receive_messages()))
    assert message.content == "not base64!"
    poison.delete_message(message)


def test_a_blob_runs_its_function_once_a_version_even_across_restarts(azurite: Azurite, start_host):
    host = start_host(workers=1, AzureWebJobsStorage=azurite.connection)
    azurite.wait_for(container="uploads")
    azurite.upload("uploads", "a/ż.txt", b"one")
    assert poll(lambda: azurite.take("seen")) == ["uploads/a/ż.txt 3 3"]
    assert host.stop() == 0

    start_host(workers=1, AzureWebJobsStorage=azurite.connection)
    azurite.upload("uploads", "marker", b"")
    assert poll(lambda: azurite.take("seen")) == ["uploads/marker None 0"]
    azurite.upload("uploads", "a/ż.txt", b"three")
    assert poll(lambda: azurite.take("seen")) == ["uploads/a/ż.txt 5 5"]


def test_a_blob_that_fails_five_times_is_given_up(azurite: Azurite, start_host):
    host = start_host(AzureWebJobsStorage=azurite.connection, workers=1)
    azurite.wait_for(container="uploads")

    azurite.upload("uploads", "bad", b"fail")

    (poison,) = poll(lambda: azurite.take("webjobs-blobtrigger-poison"))
    content = json.loads(poison)
    assert (content["FunctionId"], content["ContainerName"], content["BlobName"]) == ("see_upload", "uploads", "bad")
    assert host.output.count("RuntimeError: this blob cannot be seen") == 5


def test_a_timer_fires_once_an_occurrence_however_many_workers_there_are(azurite: Azurite, start_host):
    azurite.take("ticks")
    host = start_host(AzureWebJobsStorage=azurite.connection, TICK="* * * * * *")

    poll(lambda: len(azurite.messages("ticks")) >= 3)

    assert host.stop() == 0
    ticks = [json.loads(text) for text in azurite.take("ticks")]
    assert len({tick["next"] for tick in ticks}) == len(ticks)
    assert len({tick["pid"] for tick in ticks}) == 1


def test_a_host_for_http_only_leaves_the_triggers_to_another(azurite: Azurite, start_host):
    azurite.take("ticks")
    settings = {"AzureWebJobsStorage": azurite.connection, "TICK": "* * * * * *"}
    http_only = start_host(workers=1, http_only=True, **settings)
    other = start_host(workers=1, **settings)

    poll(lambda: len(azurite.messages("ticks")) >= 3)

    assert http_only.get("/api/hello").status_code == 200
    ticks = [json.loads(text) for text in azurite.take("ticks")]
    assert {tick["pid"] for tick in ticks} <= {child.pid for child in other.children()}


def test_a_timer_missed_while_the_host_was_down_fires_once_late(azurite: Azurite, start_host):
    azurite.take("ticks")
    past = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    status = {"Last": None, "Next": past, "LastUpdated": past, "Schedule": NEVER}
    hosts = {container.name for container in azurite.blobs.list_containers()}
    if "azure-webjobs-hosts" not in hosts:
        azurite.blobs.create_container("azure-webjobs-hosts")
    azurite.upload("azure-webjobs-hosts", "timers/mine/tick/status", json.dumps(status).encode())
    settings = {"AzureWebJobsStorage": azurite.connection, "AzureFunctionsWebHost__hostid": "mine"}

    def remembered() -> bool:
        stored = json.loads(azurite.content("azure-webjobs-hosts", "timers/mine/tick/status"))
        return bool(stored["Last"]) and datetime.fromisoformat(stored["Next"]) > datetime.now(UTC)

    host = start_host(workers=1, **settings)
    (tick,) = [json.loads(text) for text in poll(lambda: azurite.take("ticks"))]
    assert tick["late"] is True
    poll(remembered)
    host.stop()

    again = start_host(workers=1, **settings)
    azurite.upload("uploads", "after-restart", b"")
    poll(lambda: "uploads/after-restart None 0" in azurite.take("seen"))
    again.stop()
    assert azurite.messages("ticks") == []


def test_functions_run_by_hand_through_the_admin_endpoint(azurite: Azurite, start_host):
    azurite.take("ticks")
    host = start_host(AzureWebJobsStorage=azurite.connection, workers=1)
    headers = {"x-functions-key": host.keys["master"]}

    assert host.request("POST", "/admin/functions/tick", headers=headers, json={}).status_code == 202
    given = {"input": "by hand"}
    assert host.request("POST", "/admin/functions/take_order", headers=headers, json=given).status_code == 202

    (tick,) = [json.loads(text) for text in poll(lambda: azurite.take("ticks"))]
    assert tick["late"] is False
    assert poll(lambda: azurite.names("results") & {"manual-1"})
    assert azurite.content("results", "manual-1") == b"by hand 1"


def test_a_function_that_the_settings_disable_does_not_run(azurite: Azurite, start_host):
    azurite.take("ticks")
    settings = {"AzureWebJobs.tick.Disabled": "true", "AzureWebJobs_hello_Disabled": "1"}
    host = start_host(workers=1, AzureWebJobsStorage=azurite.connection, TICK="* * * * * *", **settings)

    azurite.upload("uploads", "meanwhile", b"")

    poll(lambda: "uploads/meanwhile None 0" in azurite.take("seen"))
    assert host.get("/api/hello").status_code == 404
    assert azurite.messages("ticks") == []
    assert "(disabled)" in host.output
