/** Types of keys that the log tells in forms of its own, besides those that every capture is tried with. */
import type { KeyColumn } from '../conformance/suite.ts'

export const keyColumns: readonly KeyColumn[] = [
  { column: `set('a','B c','东') character set utf8mb4`, item: { type: 'text', length: 20 }, values: ['a,东', 'B c', ''] },
  { column: `enum('x','Y','z ''q')`, item: { type: 'text', length: 20 }, values: ['Y', `z 'q`, 'x'] },
  { column: 'year', item: { type: 'integer' }, values: ['1999', '0', '2155'] },
  { column: 'year', item: { type: 'text', length: 20 }, values: ['1999', '0000', '2155'] },
  { column: 'tinyint unsigned', item: { type: 'integer' }, values: ['200', '0', '1'] },
  { column: 'smallint', item: { type: 'integer' }, values: ['-300', '300', '1'] },
  { column: 'mediumint', item: { type: 'integer' }, values: ['-8388608', '8388607', '1'] },
  { column: 'mediumint unsigned', item: { type: 'integer' }, values: ['16777215', '0', '1'] },
  { column: 'int(8) unsigned zerofill', item: { type: 'integer' }, values: ['4294967295', '12', '1'] },
  { column: 'bigint', item: { type: 'integer' }, values: ['-9223372036854775808', '9223372036854775807', '1'] },
  {
    column: 'decimal(30,10)',
    item: { type: 'decimal', precision: 30, scale: 10 },
    values: ['-12345678901234567890.0123456789', '0.0000000001', '-0.5000000000'],
  },
  {
    column: 'decimal(9,9)',
    item: { type: 'decimal', precision: 9, scale: 9 },
    values: ['-0.123456789', '0.000000000', '0.5'],
  },
  { column: 'decimal(10)', item: { type: 'integer' }, values: ['-1', '0', '9999999999'] },
  { column: 'time(3)', item: { type: 'time' }, values: ['08:30:00.125', '00:00:00', '23:59:59.999'] },
  {
    column: 'datetime(2)',
    item: { type: 'timestamp' },
    values: ['1000-01-01T00:00:00.25', '9999-12-31T23:59:59', '2026-01-01T00:00:00'],
  },
  {
    column: 'timestamp',
    item: { type: 'timestamptz' },
    values: ['1970-01-01T00:00:01Z', '2038-01-19T03:14:07Z', '2026-01-01T00:00:00Z'],
  },
  {
    column: 'timestamp(6)',
    item: { type: 'timestamptz' },
    values: ['1970-01-01T00:00:01.000001Z', '2038-01-19T03:14:07Z', '2026-01-01T00:00:00Z'],
  },
  { column: 'char(70) character set utf8mb4', item: { type: 'text', length: 70 }, values: ['东莞', 'a'.repeat(70), 'b'] },
  { column: 'varchar(300) character set ucs2', item: { type: 'text', length: 300 }, values: ['东莞', 'a'.repeat(300), 'b'] },
  { column: 'bit(20)', item: { type: 'integer' }, values: ['1048575', '0', '3'] },
  { column: 'tinyint(1)', item: { type: 'boolean' }, values: ['true', 'false'] },
]
