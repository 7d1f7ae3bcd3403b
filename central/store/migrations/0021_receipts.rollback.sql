DROP TABLE answer;
DROP TABLE receipt;
DROP INDEX attempt_provider;
DROP INDEX delivery_receipt_due;
ALTER TABLE delivery DROP COLUMN receipt_due_at;
ALTER TABLE delivery DROP COLUMN receipt;
