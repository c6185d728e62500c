"""What the Python client does with requests: values in, values out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property, partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from cortex_cdk.cluster_client import ClusterClient
from cortex_cdk.errors import PredictionError
from cortex_cdk.predict.answers import Answer
from cortex_cdk.predict.api import Api
from cortex_cdk.predict.call import TIMEOUT_SECONDS, Call
from cortex_cdk.predict.connections import Connections
from cortex_cdk.predict.description import PATH, Description
from cortex_cdk.predict.route import Route
from cortex_cdk.predict.timing import Timing
from cortex_cdk.predict.values import NOTHING, Query, call_of

if TYPE_CHECKING:
    from typing_extensions import Self


class PredictionClient(ClusterClient):
    """Sends requests to the APIs of one environment. See ``Client``. May be used by several threads at once."""

    @cached_property
    def _connections(self) -> Connections:
        return Connections()

    def close(self) -> None:
        """Close the connections to APIs. The next request opens new ones."""
        self._connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def predict(
        self,
        name: str,
        payload: Any = NOTHING,
        *,
        files: Mapping[str, Any] | None = None,
        form: Mapping[str, Any] | None = None,
        content_type: str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Query = (),
        key: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> Any:
        """Send a request to an API and return the answer.

        Args:
            name: The API or splitter.
            payload: A Python value, which is sent as JSON (also arrays of numpy, tables of pandas); a ``Path`` or an
                open file, which is sent with the content type of its name's ending; or bytes, sent as they are.
            files: Files of a form, by field: paths, bytes, open files, or ``(filename, content, content type)``.
            form: Further fields of that form.
            content_type: Of the payload, in place of the one that is chosen.
            headers: Further headers of the request.
            query: Query parameters; a list stands for several of one name.
            key: The API key; None takes the one in ``CORTEX_API_KEY``, if it is set.
            timeout: Seconds that the API may send nothing.

        Returns:
            The value of a JSON answer, text, or bytes.

        Raises:
            NotDeployedError: There is none of that name.
            PayloadError: The API does not take that, or it cannot be sent.
            AccessDeniedError: The key is missing or not good.
            UnavailableError: Nobody answers, or the answer broke off.
            ApiFailedError: The predictor failed.
            PredictionError: Any other answer that is no success. All of the above but the first are such errors.
        """
        call = call_of(
            payload, files=files, form=form, content_type=content_type, headers=headers, query=query, key=key,
            timeout=timeout,
        )  # fmt: skip
        with self.send(name, call) as answer:
            return answer.whole().value()

    def stream(self, name: str, payload: Any = NOTHING, **options: Any) -> AbstractContextManager[Answer]:
        """Send a request to an API, and read the answer while it comes.

            with client.stream("story", {"about": "rain"}) as answer:
                for part in answer:
                    print(part, end="", flush=True)

        Args:
            name: The API or splitter.
            payload: As for ``predict``.
            options: The other arguments of ``predict``.

        Raises:
            NotDeployedError: There is none of that name.
            PredictionError: It did not answer with success; see ``predict``.
        """
        return self.send(name, call_of(payload, **options))

    @contextmanager
    def send(self, name: str, call: Call, timing: Timing | None = None) -> Iterator[Answer]:
        """Send a request to an API, and read the answer while it comes.

        Args:
            name: The API or splitter.
            call: What to send.
            timing: Hears what takes how long.

        Raises:
            NotDeployedError: There is none of that name.
            PredictionError: It did not answer with success, or the answer broke off.
        """
        route = self.route(name)
        try:
            with self._connections.send(route, call, timing) as answer:
                yield answer
        except PredictionError as error:
            if error.is_gone:
                self.read_anew(name)
            raise

    def route(self, name: str) -> Route:
        """Return where an API answers. It is read at most once a minute.

        Raises:
            NotDeployedError: There is none of that name.
            UnavailableError: It has no replica that serves.
        """
        return self._known.routes.of(name)

    def known_route(self, name: str) -> Route | None:
        """Return where an API answers, if that need not be read."""
        return self._read.routes.known(name) if self._read else None

    def read_anew(self, name: str) -> None:
        """Look whether an API that did not answer is still there.

        Raises:
            NotDeployedError: It is not.
            UnavailableError: It has no replica that serves.
        """
        self._known.routes.forget(name)
        self.route(name)

    def describe(self, name: str, key: str | None = None) -> Description:
        """Read what an API takes: the OpenAPI document that it serves.

        Args:
            name: The API or splitter.
            key: The API key; None takes the one in ``CORTEX_API_KEY``, if it is set.

        Raises:
            NotDeployedError: There is none of that name.
            PredictionError: It did not answer with success.
        """
        with self.send(name, Call(method="GET", path=PATH, key=key)) as answer:
            return Description(name, json.loads(answer.whole().body))

    def api(self, name: str, *, key: str | None = None) -> Api:
        """Return an API as an object: ``client.api("iris").predict(sepal_length=5.2, ...)``.

        The arguments are the fields of its OpenAPI document, and are checked before anything is sent.

        Args:
            name: The API or splitter.
            key: The API key; None takes the one in ``CORTEX_API_KEY``, if it is set.

        Raises:
            NotDeployedError: There is none of that name.
            PredictionError: It did not answer with success.
        """
        description = self.describe(name, key)
        options = {"key": key} if key else {}
        return Api(description, self.route(name).api.endpoint, partial(self.send, name), options)
