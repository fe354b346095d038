-- What the index says more: the span that a statement names and when its maker says that it was made; and the
-- version of the index that a row was written with, so that older rows are described again from their payloads.
ALTER TABLE leaves ADD COLUMN span_id TEXT NOT NULL DEFAULT '';
ALTER TABLE leaves ADD COLUMN make_time TEXT NOT NULL DEFAULT '';
ALTER TABLE leaves ADD COLUMN described INTEGER NOT NULL DEFAULT 0;
CREATE INDEX leaves_by_kind ON leaves (kind, leaf_index) WHERE kind <> '';
CREATE INDEX leaves_by_subject ON leaves (subject, leaf_index);
