/** People or agencies from a workbook or CSV: looked at first, shown what would change, then taken as a whole. */
import { useQueryClient } from '@tanstack/react-query'
import { Alert, Button, Modal, Table } from 'antd'
import { useState } from 'react'
import { Link } from 'react-router'
import { addressOf, call, Problem } from '../api.ts'
import { nameOf, valueText } from '../fields.ts'
import { verbOf, type Text } from '../meta.ts'
import { FileInput } from '../parts/file-input.tsx'
import { Failed } from '../parts/outcome.tsx'
import { StateWord } from '../parts/value.tsx'
import { places } from '../places.ts'
import { useSession } from '../session.tsx'
import { t, timeText, useWords } from '../words.tsx'

type Outcome = 'created' | 'changed' | 'unchanged' | 'invited'

interface Line {
  row: number
  name: string
  code?: string
  login?: string
  agency?: string
  agencyName?: string
  outcome: Outcome
  changes: { member: string; before: unknown; after: unknown }[]
  link?: string | null
  expires?: string | null
}

interface Looked {
  file: File
  /** The operation that looked, and will take it. */
  operation: string
  lines: readonly Line[]
}

const outcomes: Readonly<Record<Outcome, { before: Text; after: Text; shape: string }>> = {
  created: { before: t('将新增', 'to be added'), after: t('已新增', 'added'), shape: 'active' },
  changed: { before: t('将修改', 'to be changed'), after: t('已修改', 'changed'), shape: 'running' },
  invited: { before: t('将重新生成链接', 'to get a new link'), after: t('已重新生成链接', 'has a new link'), shape: 'running' },
  unchanged: { before: t('不变', 'unchanged'), after: t('不变', 'unchanged'), shape: 'unknown' },
}

/** Of the operations that take a file of this kind, those that the caller may call. */
const operationsOf = { people: ['person.import', 'person.import-roles'], agencies: ['agency.import'] } as const
const templates = { people: 'person.import-template', agencies: 'agency.import-template' } as const

export default function ImportPage({ path }: { path: 'people' | 'agencies' }) {
  const { say } = useWords()
  const { can } = useSession()
  const client = useQueryClient()
  const [looked, setLooked] = useState<Looked>()
  const [taken, setTaken] = useState<readonly Line[]>()
  const [error, setError] = useState<unknown>()
  const [asking, setAsking] = useState(false)
  const [busy, setBusy] = useState(false)
  const place = places.find((one) => one.path === path)!
  const may = operationsOf[path].filter(can)
  const send = async (operation: string, file: File, check: boolean): Promise<readonly Line[]> => {
    const query = { ...(check && { check: 'true' }), ...(path === 'people' && { format: 'json' }) }
    return (await call<{ items: Line[] }>(operation, { query, body: file })).items
  }
  const look = async (operation: string, file: File) => {
    setLooked(undefined)
    setTaken(undefined)
    setError(undefined)
    setBusy(true)
    await send(operation, file, true)
      .then((lines) => setLooked({ file, operation, lines }))
      .catch(setError)
    setBusy(false)
  }
  const take = async ({ operation, file }: Looked) => {
    setBusy(true)
    try {
      setTaken(await send(operation, file, false))
      await client.invalidateQueries({ queryKey: ['list'] })
    } catch (refused) {
      setError(refused)
    }
    setLooked(undefined)
    setAsking(false)
    setBusy(false)
  }
  const changing = looked?.lines.filter(({ outcome }) => outcome !== 'unchanged') ?? []
  return (
    <>
      <h1>
        <Link to={`/${path}`}>{say(place.name)}</Link> · {say(t('从文件导入', 'Import from a file'))}
      </h1>
      {may.length === 0 && <p>{say(t('您的角色不能导入。', 'Your role cannot import.'))}</p>}
      <ol>
        {can(templates[path]) && (
          <li>
            <a href={addressOf(templates[path])} download>
              {say(t('下载模板', 'Download the template'))}
            </a>
            {say(
              t(
                '，填好后可存为 Excel（.xlsx）或 CSV（UTF-8、GB18030 均可）',
                ' and fill it in; save it as Excel (.xlsx) or CSV (UTF-8 or GB18030)',
              ),
            )}
          </li>
        )}
        {may.map((operation) => (
          <li key={operation}>
            <FileInput
              label={say(verbOf(operation)) + say(t('：先检查，不写入', ': it is checked, nothing is taken yet'))}
              accept=".xlsx,.csv"
              disabled={busy}
              take={(file) => void look(operation, file)}
            />
          </li>
        ))}
        <li>
          {say(t('看检查结果：有错的逐格列出，整个文件都不写入', 'Look at what the check found: with any fault nothing at all is taken'))}
        </li>
        <li>{say(t('确认导入：全部写入，记入审计', 'Confirm: all of it is taken, and put on record'))}</li>
      </ol>
      {error !== undefined && <Refused error={error} />}
      {looked && (
        <section aria-label={say(t('检查结果', 'What the check found'))}>
          <h2>{say(t('检查结果', 'What the check found'))}</h2>
          <Counts lines={looked.lines} />
          {changing.length > 0 ? (
            <p>
              <Button type="primary" loading={busy} onClick={() => setAsking(true)}>
                {say(t('导入', 'Import'))}
              </Button>
            </p>
          ) : (
            <p>{say(t('文件与现状一致，无需导入。', 'The file says what stands already: there is nothing to import.'))}</p>
          )}
          <Lines lines={looked.lines} done={false} />
        </section>
      )}
      {looked && asking && (
        <Modal
          open
          title={`${say(verbOf(looked.operation))} · ${looked.file.name}`}
          okText={say(t('导入', 'Import'))}
          okButtonProps={{ autoFocus: true }}
          confirmLoading={busy}
          cancelText={say(t('返回', 'Back'))}
          onOk={() => void take(looked)}
          onCancel={() => setAsking(false)}
        >
          <Counts lines={looked.lines} />
        </Modal>
      )}
      {taken && (
        <section aria-label={say(t('导入结果', 'What was imported'))}>
          <Alert type="success" showIcon title={say(t('已导入', 'It is imported'))} description={<Counts lines={taken} />} />
          {taken.some(({ link }) => link) && (
            <p>
              <strong>
                {say(t('激活链接只在此显示一次，请逐个交给本人。', 'The links are shown this once: hand each to its person.'))}
              </strong>{' '}
              <Button size="small" onClick={() => window.print()}>
                {say(t('打印', 'Print'))}
              </Button>
            </p>
          )}
          <Lines lines={taken} done />
        </section>
      )}
    </>
  )
}

/** What is wrong with a file cell by cell; anything else as everywhere. */
function Refused({ error }: { error: unknown }) {
  const { say } = useWords()
  if (!(error instanceof Problem) || error.faults.length < 2) return <Failed error={error} />
  return (
    <div className="problem" role="alert">
      <strong>
        {say(t(`须改正 ${error.faults.length} 处，没有写入任何内容`, `${error.faults.length} places are to be mended; nothing was taken`))}
      </strong>
      <ul className="fault-list">
        {error.faults.map((fault) => (
          <li key={`${fault.at}${fault.zh}`}>
            {fault.at}
            {say(t('：', ': '))}
            {say(fault)}
          </li>
        ))}
      </ul>
    </div>
  )
}

function Counts({ lines }: { lines: readonly Line[] }) {
  const { say } = useWords()
  const count = (wanted: Outcome) => lines.filter(({ outcome }) => outcome === wanted).length
  const named = [
    [t('新增', 'added'), count('created')],
    [t('修改', 'changed'), count('changed') + count('invited')],
    [t('不变', 'unchanged'), count('unchanged')],
  ] as const
  return <p className="number">{named.map(([word, many]) => `${say(word)} ${many}`).join(' · ')}</p>
}

function Lines({ lines, done }: { lines: readonly Line[]; done: boolean }) {
  const { say } = useWords()
  const links = lines.some(({ link }) => link)
  const word = (member: string, value: unknown) =>
    value === null || (Array.isArray(value) && value.length === 0) ? '—' : valueText(value, member, undefined, say)
  return (
    <Table<Line>
      size="small"
      rowKey={({ row }) => row}
      dataSource={[...lines].toSorted((a, b) => Number(a.outcome === 'unchanged') - Number(b.outcome === 'unchanged'))}
      pagination={!links && lines.length > 100 ? { pageSize: 100, size: 'small', showSizeChanger: false } : false}
      columns={[
        { title: say(t('行', 'row')), dataIndex: 'row' },
        { title: say(nameOf(lines[0]?.login === undefined ? 'code' : 'login')), render: (_, { login, code }) => login ?? code },
        { title: say(nameOf('name', lines[0]?.login === undefined ? undefined : 'person')), dataIndex: 'name' },
        ...(lines[0]?.agency === undefined
          ? []
          : [{ title: say(nameOf('agency')), render: (_: unknown, { agencyName, agency }: Line) => agencyName ?? agency }]),
        {
          title: say(t('结果', 'outcome')),
          render: (_, { outcome }) => (
            <StateWord state={outcomes[outcome].shape} text={say(done ? outcomes[outcome].after : outcomes[outcome].before)} />
          ),
        },
        {
          title: say(t('变化', 'changes')),
          render: (_, { changes }) =>
            changes.map(({ member, before, after }) => (
              <div key={member}>
                {say(nameOf(member))} {word(member, before)} → {word(member, after)}
              </div>
            )),
        },
        ...(links
          ? [
              {
                title: say(t('激活链接', 'activation link')),
                render: (_: unknown, { link, expires }: Line) =>
                  link && (
                    <>
                      <code className="link">{link}</code>{' '}
                      <span className="muted">
                        {say(t('至', 'until'))} {expires && timeText(expires)}
                      </span>
                    </>
                  ),
              },
            ]
          : []),
      ]}
    />
  )
}
