"""The caller's app as one of its workers has it: results and chords live for seconds, compressed."""

from app import app

app.conf.update(result_expires=3, result_chord_expires=3, result_compression="gzip")
