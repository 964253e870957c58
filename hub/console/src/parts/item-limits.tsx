/** What values an item may have: its list 字典, written, pasted or taken from another item of the catalog, and the check of its identifiers. */
import { Button, Input, Modal, Select } from 'antd'
import { useState } from 'react'
import { call } from '../api.ts'
import { itemFields } from '../catalog-fields.ts'
import { valueText } from '../fields.ts'
import { dictionaryFaults, dictionaryOf, dictionaryText, type Entry } from '../dictionary.ts'
import type { Draft } from '../items-paste.ts'
import type { Text } from '../meta.ts'
import { t, useWords } from '../words.tsx'
import { Failed } from './outcome.tsx'

interface Check {
  kind: string
  on: string
  when?: unknown
}

export interface Limits {
  dictionary: readonly Entry[] | undefined
  check: Check | undefined
}

const checkFields = itemFields.find(({ name }) => name === 'check')?.fields ?? []
const choicesOf = (name: string) => checkFields.find((field) => field.name === name)?.choices ?? []

const entriesOf = (item: Draft) => (item['dictionary'] ?? []) as readonly Entry[]

/** In the grid. */
export function limitsOf(item: Draft): Text {
  const listed = entriesOf(item).length
  const checked = item['check'] !== undefined
  if (listed > 0) return t(`字典 ${listed} 值${checked ? ' · 校验' : ''}`, `list of ${listed}${checked ? ', check' : ''}`)
  return checked ? t('校验', 'check') : t('不限', 'any')
}

interface LimitsProps {
  item: Draft
  keep: (limits: Limits) => void
  close: () => void
}

export function ItemLimits({ item, keep, close }: LimitsProps) {
  const { say } = useWords()
  const [text, setText] = useState(dictionaryText(entriesOf(item)))
  const [check, setCheck] = useState(item['check'] as Check | undefined)
  const entries = dictionaryOf(text)
  const faults = dictionaryFaults(entries, item)
  const label = item.label ?? item.id ?? ''
  const word = (name: string) => (value: string) => ({ value, label: valueText(value, name, undefined, say) })
  return (
    <Modal
      open
      title={`${say(t('字典和校验', 'List and check'))} \u00b7 ${label}`}
      okText={say(t('采用', 'Take it'))}
      cancelText={say(t('返回', 'Back'))}
      okButtonProps={{ disabled: faults.length > 0 }}
      onOk={() => keep({ dictionary: entries.length > 0 ? entries : undefined, check })}
      onCancel={close}
      destroyOnHidden
    >
      <label>
        {say(
          t(
            '只允许的值，每行一个：值、空格、含义（可从 EXCEL 粘贴两列）；不填则不限',
            'The only values, one a line: value, space, meaning (two columns of Excel can be pasted); empty: any value',
          ),
        )}
        <Input.TextArea rows={8} value={text} onChange={({ target }) => setText(target.value)} autoFocus />
      </label>
      <p className="muted" role="status">
        {say(t(`${entries.length} 个值`, `${entries.length} values`))}
      </p>
      {faults.length > 0 && (
        <div role="alert">
          <ul className="fault-list">
            {faults.slice(0, 8).map((fault) => (
              <li key={fault.zh}>{say(fault)}</li>
            ))}
            {faults.length > 8 && <li>{say(t(`另有 ${faults.length - 8} 处`, `and ${faults.length - 8} more`))}</li>}
          </ul>
        </div>
      )}
      <Elsewhere label={label} take={(found) => setText(dictionaryText(found))} />
      <p className="actions">
        <label>
          {say(t('校验码', 'Check characters'))}{' '}
          <Select
            aria-label={say(t('校验码', 'Check characters'))}
            allowClear
            style={{ width: 220 }}
            value={check?.kind ?? null}
            options={choicesOf('kind').map(word('checkKind'))}
            onChange={(kind) => setCheck(kind ? { on: 'warn', ...check, kind } : undefined)}
          />
        </label>
        {check && (
          <label>
            {say(t('不符时', 'where it fails'))}{' '}
            <Select
              aria-label={say(t('不符时', 'where it fails'))}
              style={{ width: 160 }}
              value={check.on}
              options={choicesOf('on').map(word('checkOn'))}
              onChange={(on) => setCheck({ ...check, on })}
            />
          </label>
        )}
      </p>
    </Modal>
  )
}

interface Listed {
  where: string
  entries: readonly Entry[]
}

/** Lists of items of the same name elsewhere in the catalog, and in the standards: one list for one thing in the whole city. */
function Elsewhere({ label, take }: { label: string; take: (entries: readonly Entry[]) => void }) {
  const { say } = useWords()
  const [found, setFound] = useState<readonly Listed[]>()
  const [error, setError] = useState<unknown>()
  const [busy, setBusy] = useState(false)
  const look = async () => {
    setBusy(true)
    setError(undefined)
    try {
      setFound(await listsOf(label))
    } catch (problem) {
      setError(problem)
    } finally {
      setBusy(false)
    }
  }
  return (
    <>
      <Button size="small" loading={busy} disabled={label === ''} onClick={() => void look()}>
        {say(t('查找目录和标准中同名信息项的字典', 'Look for lists of items of this name in the catalog'))}
      </Button>
      {error !== undefined && <Failed error={error} />}
      {found?.length === 0 && <p className="muted">{say(t('没有找到。', 'None was found.'))}</p>}
      <ul className="plain">
        {found?.map(({ where, entries }) => (
          <li key={where}>
            <Button size="small" aria-label={`${say(t('采用此字典', 'Use this list'))} ${where}`} onClick={() => take(entries)}>
              {say(t('采用此字典', 'Use this list'))}
            </Button>{' '}
            {where}{' '}
            <span className="muted">
              {entries
                .slice(0, 4)
                .map(({ value, label: words }) => words ?? value)
                .join(' ')}
              …
            </span>
          </li>
        ))}
      </ul>
    </>
  )
}

interface Described {
  title?: string
  items?: readonly Draft[]
}

async function listsOf(label: string): Promise<Listed[]> {
  const [{ items: resources }, { items: standards }] = await Promise.all([
    call<{ items: { code: string }[] }>('catalog.search', { query: { text: label, limit: '20' } }),
    call<{ items: { code: string; form: Described | null }[] }>('standard.list', { query: { limit: '100' } }),
  ])
  const entries = await Promise.all(
    resources.map(({ code }) => call<{ agencyName: string; content: Described | null }>('resource.read', { at: { id: code } })),
  )
  const described = [
    ...standards.map(({ form }) => ({ where: form?.title ?? '', items: form?.items ?? [] })),
    ...entries.map(({ agencyName, content }) => ({ where: `${content?.title ?? ''} \u00b7 ${agencyName}`, items: content?.items ?? [] })),
  ]
  return described.flatMap(({ where, items }) =>
    items.filter((item) => item.label === label && entriesOf(item).length > 0).map((item) => ({ where, entries: entriesOf(item) })),
  )
}
