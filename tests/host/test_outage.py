from tests.harness.polling import poll
from tests.host.harness import Azurite


def test_triggers_resume_by_themselves_whenever_storage_comes_back(start_host):
    azurite = Azurite()
    try:
        host = start_host(workers=1, AzureWebJobsStorage=azurite.connection)
        assert host.get("/api/hello").status_code == 200
        poll(lambda: host.output.count("Storage fails") == 1)

        azurite.start()
        poll(lambda: "Storage answers again" in host.output)
        azurite.wait_for(container="uploads")
        azurite.upload("uploads", "first", b"1")
        assert poll(lambda: azurite.take("seen")) == ["uploads/first 1 1"]

        azurite.stop()
        poll(lambda: host.output.count("Storage fails") == 2)
        assert host.get("/api/hello").status_code == 200

        azurite.start()
        poll(lambda: host.output.count("Storage answers again") == 2)
        azurite.wait_for(queue="orders", container="uploads")
        azurite.upload("uploads", "second", b"22")
        assert poll(lambda: azurite.take("seen")) == ["uploads/second 2 2"]
        azurite.send("orders", "after the outage")
        (name,) = poll(lambda: azurite.names("results"))
        assert azurite.content("results", name) == b"after the outage 1"
        assert host.output.count("Storage fails") == 2
    finally:
        azurite.close()
