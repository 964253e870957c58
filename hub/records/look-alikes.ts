/**
 * Letters that look like Latin letters, digits or Chinese characters, of the scripts that Chinese keyboards and GB 2312 offer beside them:
 * Greek, Cyrillic (with the letters of its neighbours that are used for deceit), kana and bopomofo. From confusables.txt of UTS #39
 * (Unicode 16), with case folded: where the small letter looks like another one than the capital does, as the capital does (Ν, not ν).
 * Letters that are used beside Latin ones as themselves, and look alike in one case only (γ, σ), are not among them.
 */
const pairs: readonly string[] = [
  // Greek
  'αa βb εe ζz ηh ιi κk μm νn οo ρp τt υy χx ϲc ϳj ϝf',
  // Cyrillic
  'аa вb еe з3 кk мm нh оo рp сc тt уy хx ьb гr іi јj ѕs һh ԁd ԛq ԝw ӏl ѵv',
  // Kana, bopomofo
  'イ亻 エ工 カ力 タ夕 ト卜 ニ二 ハ八 ロ口 ㄦ儿',
]

const lookAlikes = new Map(pairs.flatMap((line) => line.split(' ').map((pair) => Array.from(pair) as [string, string])))

/** The letter that a small letter is taken for; itself where there is none. */
export function lookAlike(letter: string): string {
  return lookAlikes.get(letter) ?? letter
}
