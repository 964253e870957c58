import { statfs } from 'node:fs/promises'
import { codedError } from '../../protocol/errors.ts'
import type { Check, FolderSettings, SinkTable, SourceTable } from '../database.ts'
import { mayClaim } from './store/owner.ts'
import { untakenFiles, type Untaken } from './untaken.ts'

/** Bytes below which a folder's disk is said to be short. */
const littleSpace = 1 << 30

/** Whether the folder is there, this agent's own and writable, and how much room it has; and what a source in it cannot see. Makes nothing. */
export async function folderChecks(folder: FolderSettings, sources: readonly SourceTable[], sinks: readonly SinkTable[]): Promise<Check[]> {
  const { path } = folder
  try {
    if (!(await mayClaim(folder))) return [absentCheck(path, sources.length > 0)]
    const { bavail, bsize } = await statfs(path)
    const free = bavail * bsize
    const gigabytes = (free / 2 ** 30).toFixed(1)
    return [
      { name: 'folder', ok: true, zh: `${path} 可读写`, en: `${path} can be read and written` },
      { name: 'space', ok: free >= littleSpace, zh: `剩余 ${gigabytes} GB`, en: `${gigabytes} GB are free` },
      ...sources.filter(({ files }) => files?.contents === 'rows' && !files.whole).map(incrementCheck),
      ...(sources.length > 0 && folder.ready === 'stable' ? [marksCheck(path)] : []),
      ...(sources.length > 0 ? (await untakenFiles(folder, sources)).map(untakenCheck) : []),
      ...(sources.length > 0 && sinks.length > 0 ? [bothCheck(path)] : []),
    ]
  } catch (error) {
    const coded = codedError(error)
    return [{ name: 'folder', ok: false, zh: `${coded.code} ${coded.text('zh')}`, en: `${coded.code} ${coded.text('en')}` }]
  }
}

/** One that is written into is made by the running agent; one that is read from is wherever its files are put. */
function absentCheck(path: string, read: boolean): Check {
  const [zh, en] = read
    ? ['请核对路径，或建立该目录', 'look at the path, or make it']
    : ['启动后由代理建立', 'the agent makes it when it starts']
  return { name: 'folder', ok: !read, zh: `${path} 不存在：${zh}`, en: `${path} does not exist: ${en}` }
}

function incrementCheck({ resource }: SourceTable): Check {
  const zh = `${resource}：文件为增量（whole: false），删除只有在文件以 qz_op 列写明时才能看到`
  return {
    name: 'capture',
    ok: true,
    zh,
    en: `${resource}: files hold changes (whole: false): a delete is seen only where a file says so in a column qz_op`,
  }
}

function marksCheck(path: string): Check {
  const zh = `${path}：文件静止后即视为写完；写入方能在写完后放入 NAME.done 的，请设 ready: done`
  const en = `${path}: a file that is at rest counts as complete; where its writer can put NAME.done behind it, set ready: done`
  return { name: 'capture', ok: true, zh, en }
}

function untakenCheck({ file, reason }: Untaken): Check {
  return { name: 'files', ok: false, zh: `${file}：${reason.zh}`, en: `${file}: ${reason.en}` }
}

function bothCheck(path: string): Check {
  return {
    name: 'folder',
    ok: false,
    zh: `${path} 既有来源又有落地：请分开`,
    en: `${path} has sources and sinks: give them folders of their own`,
  }
}
