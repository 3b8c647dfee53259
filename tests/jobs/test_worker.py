"""The worker around a job."""

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue

from jobs.worker import AppWorker
from webapp import broker


def test_a_worker_whose_redis_is_away_lets_its_job_go_on(app):
    connection = broker.client()
    worker = AppWorker([Queue("send", connection=connection, serializer="json")], connection=connection)
    job = Queue("send", connection=connection, serializer="json").enqueue("jobs.mail.sweep")
    worker.register_birth()
    worker.prepare_execution(job)
    worker.maintain_heartbeats(job)
    worker.connection = job.connection = Redis(unix_socket_path="/nowhere/redis.sock", retry=Retry(NoBackoff(), 0))
    worker.set_current_job_working_time(5.0)
    worker.maintain_heartbeats(job)
    connection.flushdb()
