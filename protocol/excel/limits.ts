/** What an uploaded workbook may not be over: each is checked before the thing it limits takes memory. */
export interface ExcelLimits {
  /** Bytes of the file. */
  fileBytes: number
  /** Bytes of all its parts, unpacked: as declared, and as they come. */
  unpackedBytes: number
  /** Unpacked to packed bytes of a part that unpacks to more than `ratioBytes`: sheets of empty cells that are only styled are packed well. */
  ratio: number
  ratioBytes: number
  /** Parts of the file. */
  entries: number
  sheets: number
  /** Rows of a sheet that hold anything. */
  rows: number
  /** Columns of a sheet, up to the last that holds anything. */
  columns: number
  /** Characters of a cell (Excel itself holds 32,767). */
  cellLength: number
  /** Different texts of the workbook. */
  texts: number
  /** Characters of them all together, which memory holds. */
  textLength: number
}

export const excelLimits: Readonly<ExcelLimits> = {
  fileBytes: 50 << 20,
  unpackedBytes: 512 << 20,
  ratio: 100,
  ratioBytes: 64 << 20,
  entries: 1_000,
  sheets: 64,
  rows: 200_000,
  columns: 500,
  cellLength: 32_767,
  texts: 2_000_000,
  textLength: 100_000_000,
}
