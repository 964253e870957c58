/** The benchmark's table: licences of ten columns with Chinese text, as in the measured prototypes. */
import type { ResourceFile } from '../support/exchange.ts'

export const licenceColumns = ['id', 'name', 'credit_code', 'kind', 'person', 'address', 'issued', 'valid_to', 'fee', 'updated'] as const

export const licenceTable = `(
  id bigint primary key, name varchar(200), credit_code varchar(18), kind varchar(50), person varchar(50), address varchar(300),
  issued date, valid_to date, fee numeric(12,2), updated timestamp(6))`

export const licenceTableOnMariadb = licenceTable.replace('timestamp(6)', 'datetime(6)')

/** Rows `from` to `to` made by the server. */
export function insertLicences(table: string, from: number, to: number): string {
  return `insert into ${table} select g, '东莞市第' || g || '号商贸有限公司', '91441900' || lpad(g::text, 10, '0'), '食品经营许可证', '张三' || g % 1000,
    '广东省东莞市南城街道鸿福路' || g % 500 || '号', date '2020-01-01' + (g % 2000)::int, date '2030-01-01' + (g % 2000)::int, (g % 100000) / 100.0,
    timestamp '2026-01-01 08:30:00.123456' + g * interval '1 second' from generate_series(${from}::bigint, ${to}::bigint) g`
}

/** The same on MariaDB. */
export function insertIntoMariadb(table: string, from: number, to: number): string {
  return `insert into ${table} select seq, concat('东莞市第', seq, '号商贸有限公司'), concat('91441900', lpad(seq, 10, '0')), '食品经营许可证',
    concat('张三', seq % 1000), concat('广东省东莞市南城街道鸿福路', seq % 500, '号'), date '2020-01-01' + interval (seq % 2000) day,
    date '2030-01-01' + interval (seq % 2000) day, (seq % 100000) / 100.0, timestamp '2026-01-01 08:30:00.123456' + interval seq second
    from seq_${from}_to_${to}`
}

/** The same as text, columns separated by tabs: what COPY and LOAD DATA take. */
export function licenceLines(from: number, to: number): string {
  const lines: string[] = []
  for (let g = from; g <= to; g++) lines.push(licenceLine(g))
  return lines.join('')
}

function licenceLine(g: number): string {
  const day = (start: number) => new Date(start + (g % 2000) * 86_400_000).toISOString().slice(0, 10)
  const updated = new Date(Date.UTC(2026, 0, 1, 8, 30) + g * 1000).toISOString().slice(0, 19).replace('T', ' ')
  return `${[
    g,
    `东莞市第${g}号商贸有限公司`,
    `91441900${String(g).padStart(10, '0')}`,
    '食品经营许可证',
    `张三${g % 1000}`,
    `广东省东莞市南城街道鸿福路${g % 500}号`,
    day(Date.UTC(2020, 0, 1)),
    day(Date.UTC(2030, 0, 1)),
    ((g % 100_000) / 100).toFixed(2),
    `${updated}.123456`,
  ].join('\t')}\n`
}

export function licencesResource(resource = 'licences'): ResourceFile {
  const text = (id: string, length: number) => ({ id, name: id, label: id, type: 'text' as const, length, openness: 'internal' as const })
  const plain = (id: string, type: 'date' | 'timestamp') => ({ id, name: id, label: id, type, openness: 'internal' as const })
  return {
    resource,
    title: resource === 'licences' ? '经营许可' : `经营许可 ${resource}`,
    agency: 'provider',
    table: 'licences',
    items: [
      { id: 'id', name: 'id', label: '编号', type: 'integer', key: true, openness: 'internal' },
      text('name', 200),
      text('credit_code', 18),
      text('kind', 50),
      text('person', 50),
      text('address', 300),
      plain('issued', 'date'),
      plain('valid_to', 'date'),
      { id: 'fee', name: 'fee', label: 'fee', type: 'decimal', precision: 12, scale: 2, openness: 'internal' },
      plain('updated', 'timestamp'),
    ],
  }
}
