/** Loaded before a program (`--import`): its clock is wrong by so many milliseconds. */
const by = Number(process.env['QIANZHI_TEST_CLOCK'])
const RealDate = Date
globalThis.Date = class extends RealDate {
  constructor(...given: unknown[]) {
    super(...((given.length === 0 ? [RealDate.now() + by] : given) as [number]))
  }
  static override now(): number {
    return RealDate.now() + by
  }
} as DateConstructor
