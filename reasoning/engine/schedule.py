"""Who takes part in the next step of the embedded engine: blocks, jobs, and the plan of a step.

Sans-I/O: no thread, no lock, no product of matrices. The engine calls it between steps, under its lock; only
`delivered` is counted up without it, by the reader of the one stream that writes the block.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from reasoning.engine.attention import Run
from reasoning.engine.drafts import MOST_ROWS, NO_DRAFT, Draft, Guesser, Occurrences, allotted
from reasoning.errors import BlockBusy, ContextFull, ReasoningError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from reasoning.engine.cache import BlockCache
    from reasoning.engine.sampling import Reading

_FULL_CHUNK: Final = 128
"""Rows of waiting text in a step that no stream is waiting for."""
_FOR_THE_OLDEST: Final = 4
"""One of so many rows of waiting text is the oldest job's: short ones without end cannot hold up a long one."""


@dataclass(eq=False, slots=True)
class TorchBlock:
    """A block of this engine: tokens, and the cache of those that were computed."""

    name: str
    cache: BlockCache
    ids: list[int] = field(default_factory=list)
    """All tokens, also those sampled and not yet delivered."""
    delivered: int = 0
    """How many of `ids` were appended or delivered; the rest was sampled, and its reader has not taken it yet."""
    release: Callable[[], None] = lambda: None
    """Ends the reading of the last stream, in its event loop: what was not delivered will not be."""
    guesser: Guesser = field(default_factory=Guesser)
    """The session's, for drafts."""
    occurrences: Occurrences = field(default_factory=Occurrences)
    """Where its tokens stand, for drafts."""
    view: tuple[TorchBlock, ...] = ()
    """The view under which the block was last written: what still waits is computed under it."""
    writer: Job | None = None

    @property
    def tokens(self) -> Sequence[int]:
        """Token ids that were appended or delivered."""
        return self.ids[: self.delivered]

    def __len__(self) -> int:
        return self.delivered

    @property
    def waiting(self) -> int:
        """Tokens that are not in the cache yet."""
        return len(self.ids) - self.cache.length

    @property
    def unread(self) -> int:
        """Waiting tokens that a reader of the block needs."""
        return 0 if self.writer is not None else max(0, self.delivered - self.cache.length)

    def crop(self, length: int) -> None:
        """Forget all but the first `length` delivered tokens, on the worker."""
        self.delivered = min(length, self.delivered)
        if self.delivered < len(self.ids):
            self.guesser.note_gone(self.ids, self.delivered)
        del self.ids[self.delivered :]
        self.occurrences.crop(self.delivered)
        self.cache.crop(self.delivered)


@dataclass(eq=False, slots=True)
class Job:
    """Something that wants rows of a step: `finish` is called once, with None or the error."""

    view: tuple[TorchBlock, ...]
    leave: int
    """Tokens of the block that may stay waiting."""
    on_logits: Callable[[Tensor, Sequence[int], int, Mapping[str, int]], Reading[Callable[[], bool]]] | None = None
    """Takes logits [1 + drafts, vocabulary], the drafts, the step and the lengths that its first row saw, on the
    worker, which holds no lock meanwhile. Reads of them what it needs, and gives what publishes the outcome, for the
    worker to call under its lock; True: the job goes on."""
    draft: Callable[[int], Draft] = lambda _: NO_DRAFT
    """Guesses up to so many tokens behind the one that is computed next."""
    ahead: float = 0.0
    """Tokens that drafts have gained it, as far as others have not used them up."""
    finish: Callable[[ReasoningError | None], None] = lambda _: None
    runnable: Callable[[], bool] = lambda: True

    @property
    def block(self) -> TorchBlock:
        """The block that the job writes."""
        return self.view[-1]

    @property
    def done(self) -> bool:
        """Whether everything that the job wants to be computed is."""
        return self.on_logits is None and self.block.waiting <= self.leave


@dataclass(slots=True)
class Step:
    """What one forward pass computes."""

    runs: list[Run] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    """The job that needs each run, as the writer of its block or as a reader."""


class Schedule:
    """The jobs of all sessions, and what of them goes into a step."""

    def __init__(self, *, prefill_rows: int, context: int, vocabulary: int, row_costs: Sequence[float] = ()) -> None:
        """`prefill_rows`: rows of waiting text in a step that streams wait for; `context`: tokens of one view.

        `row_costs`: by its number of rows, what a step costs; steps that it does not tell of carry no drafts.
        """
        self.prefill_rows, self._context, self._vocabulary = prefill_rows, context, vocabulary
        self.row_costs = row_costs
        self.jobs: list[Job] = []

    def add(self, job: Job, tokens: Sequence[int]) -> None:
        """Append tokens to the job's block and let it take part in the next step."""
        block = job.block
        unknown = [token for token in tokens if not 0 <= token < self._vocabulary]
        if unknown:
            raise ValueError(f"the model has no token {unknown[0]}: it has {self._vocabulary}")
        if block.writer is not None or block.delivered < len(block.ids):
            raise BlockBusy(f"block {block.name!r} is being written; end that stream or crop the block first")
        length = sum(map(len, job.view)) + len(tokens)
        if length > self._context:
            raise self._too_long(length)
        block.ids.extend(tokens)
        block.delivered += len(tokens)
        block.writer, block.view = job, job.view
        self.jobs.append(job)

    def drop(self, job: Job) -> None:
        """Forget a job, on the worker: what it wrote stays."""
        if job in self.jobs:
            self.jobs.remove(job)
        if job.block.writer is job:
            job.block.writer = None

    def end(self, job: Job, error: ReasoningError | None) -> None:
        """Forget a job, on the worker, and tell who waits for it."""
        if job in self.jobs:
            self.drop(job)
            job.finish(error)

    def next_step(self) -> Step:
        """Lay out one step: every stream that may run, then waiting text in the rows that are left, the shortest first.

        So a question of a few tokens does not wait for the instructions of another session, and of several sessions
        that begin at once one after the other is answered instead of all at the end. Drafts come only where no text
        waits: they would make it wait longer.
        """
        for job in [job for job in self.jobs if job.done]:
            self.end(job, None)
        step = Step()
        ready = [job for job in self.jobs if job.runnable()]
        streams = [job for job in ready if job.on_logits is not None and job.block.waiting <= 1]
        rows = self.prefill_rows if streams else _FULL_CHUNK
        for job in streams:
            rows -= self._take_unread(step, job, rows)
        for job in streams:
            # What a stream reads is complete after this step, or the stream waits for a later one.
            if self._readable(step, job):
                if not job.block.waiting:
                    # Logits come only from computing a token: a stream that starts computes the last one once more.
                    job.block.cache.length -= 1
                self._take(step, job.view, 1, job)
        self._take_waiting(step, [job for job in ready if job not in streams], rows)
        self._add_drafts(step)
        return step

    def _take_waiting(self, step: Step, jobs: Sequence[Job], rows: int) -> None:
        """Let a step compute waiting text, the shortest first; `jobs` are no streams yet, the oldest first."""
        kept = -(-rows // _FOR_THE_OLDEST) if rows else 0
        ordered = sorted(jobs, key=self._left)
        if jobs and ordered[0] is not jobs[0]:
            ordered = [*(job for job in ordered if job is not jobs[0]), jobs[0]]
        for job in ordered:
            room = rows if job is jobs[0] else rows - kept
            taken = self._take_unread(step, job, room)
            if room > taken and self._readable(step, job):
                wanted = min(room - taken, job.block.waiting - (0 if job.on_logits else job.leave))
                taken += self._take(step, job.view, wanted, job)
            rows -= taken
            if job is jobs[0]:
                kept = 0

    def _take_unread(self, step: Step, job: Job, rows: int) -> int:
        """Let a step compute what a job reads, in so many rows at most; give how many it took."""
        taken = 0
        for block in self._unread(job):
            if rows > taken and not _writes(step, block, 1):
                taken += self._take(step, block.view, min(rows - taken, block.unread), job)
        return taken

    def _readable(self, step: Step, job: Job) -> bool:
        """Say whether all that a job reads is computed after this step."""
        return all(_writes(step, block, block.unread) for block in self._unread(job))

    def _left(self, job: Job) -> int:
        """Tokens to be computed until the job has what it waits for."""
        return job.block.waiting - job.leave + sum(block.unread for block in self._unread(job))

    def _add_drafts(self, step: Step) -> None:
        """Let the streams of a step that carries nothing else compute guesses with it, as many as are worth it."""
        room = min(len(self.row_costs), MOST_ROWS + 1) - len(step.runs) - 1
        if not step.runs or room <= 0 or not all(run.logits and len(run.tokens) == 1 for run in step.runs):
            return
        drafts = [job.draft(min(room, self._room(job.view) - 1)) for job in step.jobs]
        counts, ahead = allotted(drafts, self.row_costs, [job.ahead for job in step.jobs])
        for number, (job, draft, count) in enumerate(zip(step.jobs, drafts, counts, strict=True)):
            job.ahead = ahead[number]
            if count:
                run = step.runs[number]
                tokens = [*run.tokens, *draft.tokens[:count]]
                step.runs[number] = replace(run, tokens=tokens, logits=1 + count, guesses=count)

    def _room(self, view: Sequence[TorchBlock]) -> int:
        """Tokens that may still be computed in the view's last block."""
        return self._context - sum(len(other.ids) for other in view[:-1]) - view[-1].cache.length

    def _unread(self, job: Job) -> list[TorchBlock]:
        """Blocks that the job reads, directly or through another such block, and that are not computed to the end."""
        found: list[TorchBlock] = []
        views = [job.view]
        while views:
            for block in views.pop()[:-1]:
                if block.unread and block not in found:
                    found.append(block)
                    views.append(block.view)
        return found

    def _take(self, step: Step, view: tuple[TorchBlock, ...], count: int, job: Job) -> int:
        """Let a step compute `count` tokens of the view's last block for a job, which writes that block or reads it."""
        block = view[-1]
        if count > self._room(view):
            self.end(job, self._too_long(self._context - self._room(view) + count))
            return 0
        tokens = block.ids[block.cache.length : block.cache.length + count]
        wants_logits = job.on_logits is not None and block is job.block and block.waiting == count
        step.runs.append(Run(tokens, [other.cache for other in view], int(wants_logits)))
        step.jobs.append(job)
        return count

    def _too_long(self, length: int) -> ContextFull:
        return ContextFull(
            f"a view of {length} tokens does not fit the {self._context} that are set; "
            "drop history or raise engine.context"
        )


def _writes(step: Step, block: TorchBlock, count: int) -> bool:
    return any(run.view[-1] is block.cache and len(run.tokens) >= count for run in step.runs)
