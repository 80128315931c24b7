"""Frames of a part of a video, by their time stamps."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from keras_imp.data.decoding import container as containers
from keras_imp.data.decoding.errors import BadFile
from keras_imp.data.decoding.part import (
    Part,
    Request,
    find_part,
    is_whole,
)

# Bytes of all frames of a result.
MAX_BYTES = 1 << 30
# What a track may lack at the end of a file without a word, in seconds.
_SLACK = 0.1
# Time stamps are rounded to the time base of a file.
_ROUNDING = 1e-3
_USUAL_RATE = 25.0


class Reader:
    """Reads frames of one part of a video.

    A header may promise more than a file holds. Where frames run out before
    the part ends, the true end is looked up, and the part is found anew.

    Args:
        video: The container.
        name: The file as it is shown.
        request: Which part.

    Raises:
        BadFile: If it has no video, or nothing of the part.
    """

    def __init__(self, video: Any, name: str, request: Request):
        self.notes: list[str] = []
        self.name = name
        self._video = video
        self.stream = containers.stream_of(video, "video", name)
        self._request = request
        self._is_exact = False
        self._begun: tuple[float, Iterator] | None = None
        self.duration = containers.duration_of(video, self.notes)
        self.part = self._find()
        # By the header: whether its error is noticed may depend on the place.
        self.is_whole = is_whole(self.duration, request)

    @property
    def rate(self) -> float:
        """Frames per second, the mean where it varies."""
        return float(self.stream.average_rate or _USUAL_RATE)

    def first_frame(self) -> Any:
        """The first frame of the part, which `read` will not decode again.

        Returns:
            A frame of PyAV.

        Raises:
            BadFile: If no frame can be decoded.
        """
        shown = self._shown(self.part.start)
        found = next(shown, None)
        if found is None and self._shorten(0.0):
            shown = self._shown(self.part.start)
            found = next(shown, None)
        if found is None:
            raise BadFile("damaged", self.name, "No frame is decoded.")
        self._begun = (self.part.start, itertools.chain([found], shown))
        return found[1]

    def read(
        self,
        frames: int | None,
        interval: float | None,
        convert: Callable[[Any], np.ndarray],
    ) -> list[np.ndarray]:
        """Decode the frames of the part.

        Args:
            frames: How many; None for all that are stored.
            interval: Seconds from one to the next; None spreads them over the
                part.
            convert: Makes the result of a frame.

        Returns:
            The results.
        """
        part = self.part
        if frames is None:
            results, end = self._all(convert)
        else:
            times = times_of(part, frames, interval)
            results, end = self._at(times, convert)
        is_short = end < part.start + part.seconds - _SLACK
        if is_short and self._shorten(end):
            # With all frames up to an earlier end, nothing is to be moved.
            has_all = frames is None and self.part.start == part.start
            if not has_all:
                return self.read(frames, interval, convert)
        if not results:
            raise BadFile("damaged", self.name, "No frame is decoded.")
        return results

    def _find(self) -> Part:
        return find_part(self.duration, self._request, self.name)

    def _shorten(self, seen: float) -> bool:
        """Find the part anew, up to the true end.

        Args:
            seen: Where decoding ended, which is the end if the file cannot be
                read a second time.

        Returns:
            Whether the end is earlier than it was.
        """
        if self._is_exact:
            return False
        self._is_exact = True
        ends = containers.ends_of(self._video, self.notes)
        if max(ends.values(), default=seen) < self.duration - _SLACK:
            self.notes.append("truncated")
        end = ends.get(self.stream.index, seen)
        if not 0 < end < self.duration:
            return False
        self.duration = end
        self.part = self._find()
        return True

    def _from(self, start: float) -> Iterator[tuple[float, Any]]:
        """`_shown`, continued where `first_frame` has begun."""
        begun, self._begun = self._begun, None
        if begun is not None and begun[0] == start:
            return begun[1]
        return self._shown(start)

    def _shown(self, start: float) -> Iterator[tuple[float, Any]]:
        """Times and frames, from the one that is shown at a time."""
        before: tuple[float, Any] | None = None
        for time, frame in self._decoded(start):
            if time < start - _ROUNDING:
                before = (time, frame)
                continue
            if before is not None and time > start + _ROUNDING:
                yield before
            before = None
            yield time, frame
        if before is not None:
            yield before

    def _decoded(self, start: float) -> Iterator[tuple[float, Any]]:
        """Times and frames, from some place before a time."""
        # Without an index, all is decoded from the start of the file.
        containers.seek(self._video, self.stream, start)
        offset = containers.start_of(self._video)
        time = start
        for frames in containers.packets(self._video, self.stream, self.notes):
            for frame in frames:
                if frame.time is not None:
                    time = frame.time - offset
                yield time, frame
                # For those without a time stamp.
                time += 1 / self.rate

    def _all(
        self, convert: Callable[[Any], np.ndarray]
    ) -> tuple[list[np.ndarray], float]:
        """All frames of the part, and where the last one ends."""
        results: list[np.ndarray] = []
        end, last = self.part.start, self.part.start + self.part.seconds
        for time, frame in self._from(self.part.start):
            if time > last - _ROUNDING:
                return results, last
            results.append(convert(frame))
            self._check_memory(results[0], len(results))
            end = time + 1 / self.rate
        return results, end

    def _at(
        self, times: np.ndarray, convert: Callable[[Any], np.ndarray]
    ) -> tuple[list[np.ndarray], float]:
        """The frame that is shown at each time, and where the last ends."""
        moments, places = np.unique(times, return_inverse=True)
        results: list[np.ndarray] = []
        last, end = None, self.part.start
        for time, frame in self._from(float(moments[0])):
            # Until this frame starts, the one before it is shown.
            count = np.searchsorted(moments, time - _ROUNDING) - len(results)
            if count > 0:
                results += [convert(frame if last is None else last)] * count
            count = np.searchsorted(moments, time + _ROUNDING) - len(results)
            if count > 0:
                results += [convert(frame)] * count
            if results:
                self._check_memory(results[0], len(times))
            last, end = frame, time + 1 / self.rate
            if len(results) == len(moments):
                break
        if last is not None and len(results) < len(moments):
            results += [convert(last)] * (len(moments) - len(results))
        else:
            end = self.part.start + self.part.seconds
        return ([results[i] for i in places] if results else []), end

    def _check_memory(self, result: np.ndarray, count: int) -> None:
        """Refuse what no memory would hold, at its first frame."""
        if result.nbytes * count > MAX_BYTES:
            raise BadFile(
                "too_large",
                self.name,
                f"{count} frames of {result.shape} are more than {MAX_BYTES} "
                "bytes. Choose `frames` or `size`.",
            )


def times_of(part: Part, frames: int, interval: float | None) -> np.ndarray:
    """Times of frames in a part, repeated from its start where it is short.

    Args:
        part: The part.
        frames: Number of times.
        interval: Seconds from one to the next; None spreads them.

    Returns:
        Seconds from the start of the file, float64, shape `(frames,)`.

    Example:
        >>> from keras_imp.data.decoding.frames import times_of
        >>> from keras_imp.data.decoding.part import Part
        >>> times_of(Part(start=1.0, seconds=1.0), 4, 0.5).tolist()
        [1.0, 1.5, 1.0, 1.5]
    """
    if interval is None:
        interval = part.seconds / frames
    # A multiple of the length must not be a rounding error below it.
    return part.start + np.round(np.arange(frames) * interval, 9) % part.seconds
