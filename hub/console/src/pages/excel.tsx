import { useQuery } from '@tanstack/react-query'
import { Button, InputNumber, Modal, Progress, Radio } from 'antd'
import { useState } from 'react'
import { Link, useParams } from 'react-router'
import { addressOf, call } from '../api.ts'
import { comma } from '../fields.ts'
import type { Text } from '../meta.ts'
import { FileInput } from '../parts/file-input.tsx'
import { Failed } from '../parts/outcome.tsx'
import { t, timeText, useWords } from '../words.tsx'

interface Line extends Text {
  severity: 'reject' | 'warn'
  sheet?: string
  column?: string
  count: number
  rows: string[]
}

interface Checked {
  rows: number
  created: number
  changed: number
  same: number
  absent: number
  faults: Line[]
  rejects: number
  warnings: number
}

interface Job {
  id: string
  kind: string
  state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled'
  file: { name: string } | null
  step: string | null
  done: number
  total: number | null
  result: (Checked & { deleted?: number; batches?: number }) | null
  problem: (Text & { code: string }) | null
  created: string
}

const over = (job: Job | undefined) => job !== undefined && job.state !== 'queued' && job.state !== 'running'

/** A workbook of rows 导入: template, check, taking. Whoever comes back finds the work where it is. */
export default function ExcelPage() {
  const { say, language } = useWords()
  const { id = '' } = useParams()
  const [problem, setProblem] = useState<unknown>()
  const resource = useQuery({
    queryKey: ['object', 'resource', id],
    queryFn: ({ signal }) => call<{ schema: { title: string } }>('resource.read', { at: { id }, signal }),
  })
  const [taking, setTaking] = useState<Job>()
  const jobs = useQuery({
    queryKey: ['jobs', id],
    queryFn: ({ signal }) => call<{ items: Job[] }>('job.list', { query: { resource: id, limit: '20' }, signal }),
    refetchInterval: ({ state }) => (state.data?.items.some((job) => !over(job)) ? 1000 : false),
  })
  const upload = async (file: File) => {
    setProblem(undefined)
    try {
      await call('excel.check', { at: { id }, query: { name: file.name }, body: file })
      await jobs.refetch()
    } catch (refused) {
      setProblem(refused)
    }
  }
  return (
    <>
      <h1>
        {say(t('EXCEL 导入', 'Excel import'))} ·{' '}
        <Link to={`/resources/${encodeURIComponent(id)}`}>{resource.data?.schema.title ?? id}</Link>
      </h1>
      <ol>
        <li>
          <a href={addressOf('excel.template', { at: { id }, query: { language } })}>{say(t('下载模板', 'Download the template'))}</a>
        </li>
        <li>
          <FileInput
            label={say(t('上传填好的文件，先检查，不写入：', 'Upload it filled in: it is checked, nothing is taken yet:'))}
            accept=".xlsx"
            take={(file) => void upload(file)}
          />
        </li>
        <li>{say(t('看检查结果：每处问题写明在哪些行', 'Look at what the check found: each fault says in which rows'))}</li>
        <li>{say(t('确认导入：写明新增、修改和删除各几行', 'Confirm that it is taken: so many rows are added, changed, deleted'))}</li>
      </ol>
      {problem !== undefined && <Failed error={problem} />}
      {jobs.error && <Failed error={jobs.error} again={() => void jobs.refetch()} />}
      {(jobs.data?.items ?? []).map((job) => (
        <JobShown key={job.id} job={job} resource={id} take={() => setTaking(job)} />
      ))}
      {taking && (
        <TakeDialog
          job={taking}
          resource={id}
          close={() => {
            setTaking(undefined)
            void jobs.refetch()
          }}
        />
      )}
    </>
  )
}

function JobShown({ job, resource, take }: { job: Job; resource: string; take: () => void }) {
  const { say, language } = useWords()
  const { result, problem } = job
  const name = say(job.kind === 'excel.check' ? t('检查', 'Check') : t('导入', 'Import'))
  return (
    <section>
      <h2>
        {name} {job.file?.name} <span className="muted number">{timeText(job.created)}</span>
      </h2>
      {!over(job) && (
        <Progress
          aria-label={name}
          percent={job.total ? Math.floor((job.done / job.total) * 100) : 0}
          status="active"
          format={() => `${job.done}${job.total ? ` / ${job.total}` : ''}`}
        />
      )}
      {problem && (
        <p className="problem">
          <strong>{say(problem)}</strong> <code>{problem.code}</code>
        </p>
      )}
      {result && (
        <p className="number">
          {say(t('共', 'rows'))} {result.rows} · {say(t('新增', 'new'))} {result.created} · {say(t('修改', 'changed'))} {result.changed} ·{' '}
          {say(t('相同', 'same'))} {result.same}
          {result.deleted !== undefined && ` · ${say(t('删除', 'deleted'))} ${result.deleted}`}
        </p>
      )}
      {result?.faults && result.faults.length > 0 && (
        <>
          <p>
            {say(
              t(`须改正 ${result.rejects} 处，提示 ${result.warnings} 处`, `${result.rejects} to be mended, ${result.warnings} warnings`),
            )}{' '}
            ·{' '}
            <a href={addressOf('excel.marked', { at: { id: resource }, query: { check: job.id, language } })}>
              {say(t('下载加注副本', 'Download the marked copy'))}
            </a>
          </p>
          <ul className="fault-list">
            {result.faults.map((line) => (
              <li key={`${line.sheet}${line.column}${line.zh}`}>
                {[line.sheet, line.column && say(t(`${line.column} 列`, `column ${line.column}`)), line.rows.join(say(comma))]
                  .filter(Boolean)
                  .join(' · ')}
                {say(t('：', ': '))}
                {say(line)} {line.count > 1 ? `× ${line.count}` : ''}
              </li>
            ))}
          </ul>
        </>
      )}
      {job.kind === 'excel.check' && job.state === 'done' && result && result.rejects === 0 && (
        <Button type="primary" onClick={take}>
          {say(t('导入', 'Import'))}
        </Button>
      )}
    </section>
  )
}

function TakeDialog({ job, resource, close }: { job: Job; resource: string; close: () => void }) {
  const { say } = useWords()
  const [mode, setMode] = useState<'upsert' | 'replace'>('upsert')
  const [deletes, setDeletes] = useState<number | null>(null)
  const [error, setError] = useState<unknown>()
  const { created, changed, absent } = job.result!
  const take = async () => {
    try {
      await call('excel.import', {
        at: { id: resource },
        body: { check: job.id, mode, ...(mode === 'replace' && deletes !== null && { deletes }) },
      })
      close()
    } catch (refused) {
      setError(refused)
    }
  }
  return (
    <Modal
      open
      title={say(t('导入', 'Import'))}
      onCancel={close}
      onOk={() => void take()}
      okText={say(t('导入', 'Import'))}
      okButtonProps={{ danger: mode === 'replace' }}
      cancelText={say(t('返回', 'Back'))}
    >
      <Radio.Group
        value={mode}
        onChange={({ target }) => setMode(target.value as typeof mode)}
        options={[
          { value: 'upsert', label: say(t(`新增 ${created} 行，修改 ${changed} 行`, `add ${created} rows, change ${changed}`)) },
          { value: 'replace', label: say(t(`同时删除文件里没有的 ${absent} 行`, `also delete the ${absent} that the file does not have`)) },
        ]}
      />
      {mode === 'replace' && absent > 0 && (
        <p>
          <label>
            {say(t('删除较多时，请填写要删除的行数以确认：', 'Where many go, enter their number to confirm:'))}{' '}
            <InputNumber min={0} value={deletes} onChange={(value) => setDeletes(value)} />
          </label>
        </p>
      )}
      {error !== undefined && <Failed error={error} />}
    </Modal>
  )
}
