"""The worker around a job."""

import os

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue, Worker

from jobs.worker import AppWorker
from webapp import broker


def test_a_worker_whose_redis_is_away_lets_its_job_go_on(app):
    connection = broker.client()
    worker = AppWorker([Queue("send", connection=connection, serializer="json")], connection=connection)
    job = Queue("send", connection=connection, serializer="json").enqueue("jobs.mail.sweep")
    worker.app = app
    worker.register_birth()
    worker.prepare_execution(job)
    worker.maintain_heartbeats(job)
    worker.connection = job.connection = Redis(unix_socket_path="/nowhere/redis.sock", retry=Retry(NoBackoff(), 0))
    worker.set_current_job_working_time(5.0)
    worker.maintain_heartbeats(job)
    connection.flushdb()


def test_a_sending_worker_looks_after_the_dead_as_soon_as_a_job_has_ended_and_every_two_seconds_else(app, monkeypatch):
    connection = broker.client()
    worker = AppWorker([Queue("send", connection=connection, serializer="json")], connection=connection)
    monkeypatch.setattr("jobs.worker.LOOK", 60)
    looked = []
    worker.app, worker.look = app, lambda: looked.append(1)
    worker.heartbeat()
    worker.heartbeat()
    assert len(looked) == 1
    monkeypatch.setattr(Worker, "monitor_work_horse", lambda *_: None)
    worker.monitor_work_horse(None, None)
    assert len(looked) == 2
    monkeypatch.setattr(os, "getpid", lambda: worker.pid + 1)  # as in its child
    worker.monitor_work_horse(None, None)
    assert len(looked) == 2
    connection.flushdb()
