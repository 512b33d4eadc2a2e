"""One handle for each provider endpoint: the SDK's own arguments, plus ours.

client.messages.create(model=M, max_tokens=300, messages=[...])              # before
messages.delay(model=M, max_tokens=300, messages=[...], tier="batch")        # after
"""

import json
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, Final, NoReturn

from celery import Signature

from unhurried.binding import bound_app, is_private
from unhurried.bulk import Item, Publisher, shared
from unhurried.contract import QUEUES, TASK_NAMES, Endpoint, Tier
from unhurried.errors import CallError, MixedBrokers
from unhurried.jobs import Job
from unhurried.options import Notices, split
from unhurried.publishing import canvas_headers, stub
from unhurried.reading import Reader, newest
from unhurried.replaying import replay
from unhurried.results import Result
from unhurried.runs import Run, Seal, id_of_run
from unhurried.schemas import Schema
from unhurried.spans import seconds

_NOT_CHOSEN: Final = frozenset({"queue", "exchange", "routing_key", "serializer", "compression"})


class Handle:
    """Publishes to one endpoint. Every way of calling takes the SDK's arguments and these of ours:

    `tier` (required: is a user waiting?), `workload`, `subject`, `as_of`, `deadline`, `effective_for`,
    `idempotency_key`, `on_lost`, `attempts`, `on_failure` ("raise", "return", "retry" or "drop"),
    `schema` (a pydantic model class or a JSON schema), `notify`, `account`, `tenant`.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.name = TASK_NAMES[endpoint]

    def __repr__(self) -> str:
        """Shows the endpoint."""
        return f"<unhurried.{self.endpoint}>"

    def __call__(self, *_args: Any, **_arguments: Any) -> NoReturn:
        """Refuse: nothing runs here."""
        raise CallError(
            f"{self.endpoint} runs in the service: .delay(...) publishes, .s(...) builds a signature "
            "for a canvas, .call(...) waits"
        )

    def s(self, *args: Any, **arguments: Any) -> "Signature[Any]":
        """A signature for group, chord, chain and link.

        In a chain the previous step's value becomes part of the request: text, a result or a list of
        them is added as the user's turn; any other dict is taken as arguments, under those named here.
        Raises MissingTier, CallError or ValueError.
        """
        return self._signature(args, split(arguments, self.endpoint), immutable=False)

    def si(self, *args: Any, **arguments: Any) -> "Signature[Any]":
        """As `s`, but what the previous step returned is ignored."""
        return self._signature(args, split(arguments, self.endpoint), immutable=True)

    signature = s

    def delay(self, **arguments: Any) -> Job:
        """Publish and return at once.

        Raises MissingTier, CallError, ValueError, CallerMisconfigured or ServiceUnavailable.
        """
        return self.apply_async(kwargs=arguments)

    def apply_async(
        self, args: Any = None, kwargs: dict[str, Any] | None = None, **options: Any
    ) -> Job:
        """Publish with Celery's own options: `countdown`, `eta`, `expires`, `link`, `task_id`...

        `queue` and its kin are the tier's and are refused.
        """
        for name in _NOT_CHOSEN & options.keys():
            raise CallError(f"{name} follows from the tier and cannot be chosen")
        built = self._signature(
            tuple(args or ()), split(kwargs or {}, self.endpoint), immutable=False
        )
        _refuse_mixed(options)
        tier = Tier(built.kwargs["options"]["tier"])
        published = built.apply_async(**options)
        schema = (kwargs or {}).get("schema")
        return Job(published.id, app=bound_app(), tier=tier, schema=schema)

    def delay_on_commit(self, **arguments: Any) -> None:
        """Publish once Django's transaction commits. Returns None, as Celery's own does.

        Raises as `delay` does what can be known before; CallError without a Django that is set up.
        """
        try:
            from django.core.exceptions import ImproperlyConfigured  # noqa: PLC0415 - only a Django
            from django.db import transaction  # noqa: PLC0415 - caller has it
        except ImportError as error:
            raise CallError("delay_on_commit needs Django: use delay") from error
        built = self._signature((), split(arguments, self.endpoint), immutable=False)
        try:
            transaction.on_commit(built.apply_async)
        except ImproperlyConfigured as error:
            raise CallError(f"delay_on_commit needs Django's settings: {error}") from error

    def call(self, *, timeout: float | timedelta | str = 30, **arguments: Any) -> Result:
        """Publish and wait at most `timeout`; safe in a view and inside another task.

        Raises as `delay` does, the job's own error, or Celery's TimeoutError that names the job.
        """
        return self.delay(**arguments).get(timeout=seconds(timeout))

    def bulk(
        self,
        items: Iterable[Item],
        *,
        key: object = None,
        then: "Signature[Any] | None" = None,
        notify: Notices | None = None,
        **common: Any,
    ) -> Run:
        """Publish many calls as one run, from a generator of any size: memory and round trips are bounded.

        `items` are made by `item(...)`; `common` are options that all share (`workload`, `tier`, `deadline`,
        `effective_for`, `account`...). A part that fails is a result that is not `ok`, unless `on_failure="raise"`
        fails its task. `then` is your task that is published once, when every part has ended, and `notify` tells
        people or programs of it. With a `key`, publishing again after an interruption goes on with the same run.

        Raises CallError or ValueError for what cannot be sent, ServiceUnavailable where Redis did not take or
        did not keep what was published, and what the items raise: the run is then left unsealed, and its `then`
        does not run.
        """
        _refuse_mixed({"link": then})
        app = bound_app()
        run_id = id_of_run(self.endpoint, key, tenant=str(common.get("tenant", "default")))
        seal = Seal(app, endpoint=self.endpoint, run_id=run_id, then=then, notify=notify)
        publisher = Publisher(app, endpoint=self.endpoint, run_id=run_id, common=shared(common))
        publisher.publish(items)
        seal.publish(total=publisher.total(), tier=publisher.tier, common=common)
        return Run(run_id, app=app)

    def run(self, run_id: str) -> Run:
        """A run published before, by its id."""
        return Run(run_id, app=bound_app())

    def job(self, job_id: str, *, schema: Schema | None = None) -> Job:
        """A job published before, by its id. `schema` is what its answer is parsed as."""
        return Job(job_id, app=bound_app(), schema=schema)

    def result(self, job_id: str, *, schema: Schema | None = None) -> Result:
        """The result, however old. Raises UnknownJob, NotReady or the job's own error."""
        return self.job(job_id, schema=schema).result()

    def read(
        self,
        job_id: str,
        *,
        max_staleness: float | timedelta | str | None = None,
        consumer: str | None = None,
        schema: Schema | None = None,
    ) -> Result:
        """The result if it is fresh enough for its reader; age counts from `as_of`.

        The reader says how old it may be, or which consumer it is. Raises UnknownJob, NotReady,
        StaleResult or the job's own error; CallError for a consumer that is not declared; TypeError
        where nobody says how old it may be.
        """
        return Reader("read", max_staleness, consumer).read(self.job(job_id, schema=schema))

    def latest(
        self,
        workload: str,
        *,
        subject: str | None = None,
        max_staleness: float | timedelta | str | None = None,
        consumer: str | None = None,
        tenant: str = "default",
        schema: Schema | None = None,
    ) -> Result:
        """The newest answer of a workload about a subject, whichever job gave it: newest by `as_of`.

        A job that failed leaves the answer before it in place. Raises UnknownJob where nothing was ever
        published for them, NotReady where nothing is answered yet, else as `read`.
        """
        reader = Reader("latest", max_staleness, consumer)
        app = bound_app()
        task_id = newest(app, tenant=tenant, workload=workload, subject=subject)
        return reader.read(Job(task_id, app=app, schema=schema))

    def results(
        self,
        workload: str,
        *,
        after: str | None = None,
        consumer: str | None = None,
        tenant: str = "default",
        schema: Schema | None = None,
    ) -> Iterator[Result]:
        """Every settled result of a workload at this endpoint, failed ones too, from the ledger.

        To rebuild what was derived from them: in an order that never changes, each with a `result_id` that
        never changes and a `cursor`. Keep the last cursor and go on `after` it: nothing that settles later
        sorts before it. A page is held at a time. With `consumer` they are recorded as picked up; their age
        is not looked at. Raises CallError at once, and while reading for a cursor of another workload or endpoint;
        ServiceUnavailable while reading where nobody answers.
        """
        return replay(
            bound_app(),
            endpoint=self.endpoint,
            workload=workload,
            after=after,
            tenant=tenant,
            consumer=consumer,
            schema=schema,
        )

    def _signature(
        self, args: tuple[Any, ...], wire: dict[str, Any], *, immutable: bool
    ) -> "Signature[Any]":
        tier = Tier(wire["options"]["tier"])
        app = bound_app()
        stub(app, self.name)
        return app.signature(
            self.name,
            args=args,
            kwargs=wire,
            immutable=immutable,
            options={
                "queue": QUEUES[tier],
                "serializer": "json",
                "ignore_result": False,
                "argsrepr": self._summary(wire, tier),
                "kwargsrepr": "{}",
                "headers": canvas_headers(app),
            },
        )

    def _summary(self, wire: dict[str, Any], tier: Tier) -> str:
        """What logs and Flower show instead of the arguments. Never a prompt."""
        request = wire["request"]
        try:
            size = len(json.dumps(request))
        except ValueError as error:  # an integer of thousands of digits
            raise CallError(f"the request cannot be written as JSON: {error}") from None
        return f"<{self.endpoint} {tier} {str(request.get('model', '?'))[:80]} {size} bytes>"


def _refuse_mixed(options: dict[str, Any]) -> None:
    if not is_private():
        return
    for name in ("link", "link_error"):
        following = options.get(name) or []
        for one in following if isinstance(following, list | tuple) else [following]:
            task = str(one.get("task", "")) if isinstance(one, dict) else ""
            if not task.startswith("unhurried."):
                raise MixedBrokers(
                    f"{name}={task or one!r} lives on your own broker, and UNHURRIED_BROKER_URL names "
                    "another: use a webhook, or read the result by its id"
                )


messages = Handle(Endpoint.MESSAGES)
responses = Handle(Endpoint.RESPONSES)
chat = Handle(Endpoint.CHAT)
embeddings = Handle(Endpoint.EMBEDDINGS)
