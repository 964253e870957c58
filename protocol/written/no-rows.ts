/** Rows of a sheet that are none of the table's: people and programs put them where its rows stand. */

const totals = /^(?:合\s*计|总\s*计|小\s*计|共\s*计|(?:sub)?total)\s*[:\uff1a]?$/i
const remarks =
  /^(?:注|备注|说明|填表人|填报人|制表人?|审核人?|负责人|填报单位|制表单位|联系人|联系电话|填表日期|填报日期|制表日期)\s*\d*\s*[:\uff1a]/
const types =
  /^(?:n?(?:var)?char2?|n?text|n?clob|string|(?:big|small|tiny)?int(?:eger)?|number|numeric|decimal|double|float|real|date(?:time)?2?|time(?:stamp)?|bool(?:ean)?|bit|blob|字符串?型?|文本型?|数[字值]型?|整数?型|日期型?|时间型?)\s*(?:[(\uff08][\d,\s]*[)\uff09])?$/i

/** As most keys do, and nothing that is no row: told without much work. */
export function beginsWithDigit(text: string): boolean {
  const code = text.charCodeAt(0)
  return code >= 0x30 && code <= 0x39
}

/** Whether a text in a key's place says that its row is a sum or a remark. */
export function isRemark(key: string): boolean {
  return totals.test(key) || remarks.test(key)
}

/** Whether all that stands in a row, whose key is given, are names of types. */
export function areTypes(key: string, cells: readonly (string | null)[]): boolean {
  return types.test(key) && cells.every((cell) => !cell?.trim() || types.test(cell.trim()))
}

/** A text's kinds of characters: those of one column are alike. */
export function shapeOf(text: string): string {
  return text
    .trim()
    .replace(/\d+/g, '9')
    .replace(/[a-z]+/gi, 'a')
    .replace(/\p{Script=Han}+/gu, '汉')
}
