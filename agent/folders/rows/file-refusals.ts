/** Why files of rows are refused that could be read. */
import { QianzhiError } from '../../../protocol/errors.ts'
import type { LocalizedText } from '../../../protocol/localized.ts'
import type { MappedColumn } from '../../database.ts'
import { wholeFile } from '../formats/file-fault.ts'

export function linkFault(file: string): QianzhiError {
  return fault(file, { zh: '是符号链接：请投放文件本身', en: 'it is a symbolic link: put in the file itself' })
}

/** A column without which a whole table would lose values. */
export function lackingFault(file: string, { item, column }: MappedColumn): QianzhiError {
  return fault(file, {
    zh: `缺少列 ${item.label}（${column}），而已接收的数据中有它的值：请补上该列（值可以为空）`,
    en: `it has no column ${item.label} (${column}), of which rows that were taken have values: put the column in, empty where it is meant`,
  })
}

export function grownFault(file: string): QianzhiError {
  return fault(file, {
    zh: '被接收后又有写入，其后已接收了别的文件：请重新投放；建议写完后再放入 NAME.done，并设 ready: done',
    en: 'it was written on after it had been taken, and others were taken since: put it in again; best with NAME.done behind it, and ready: done',
  })
}

export function olderFault(file: string, newest: string): QianzhiError {
  return fault(file, {
    zh: `文件时间早于已接收的 ${newest}：确需接收的，请更新其修改时间后重新投放，或设 older: take`,
    en: `it is older than ${newest}, which was taken: if it is meant, put it in with a newer time, or set older: take`,
  })
}

function fault(file: string, reason: LocalizedText): QianzhiError {
  return new QianzhiError('QZ-FILE', { file, where: wholeFile, reason })
}
