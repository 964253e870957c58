/** For `skip`: why a test that repeats on another engine, or at greater length, what the usual run shows already is left out of it. */
export const longer: string | false = process.env['QIANZHI_TEST_LONG'] ? false : 'a longer run: set QIANZHI_TEST_LONG=1'
