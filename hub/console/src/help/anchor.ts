/** Paths that others explain. */
const others: Readonly<Record<string, string>> = { wall: 'flows', help: '' }

/** What a page's section is called in the manual's address: by the first part of the page's own. */
export function anchorOf(pathname: string): string {
  const first = pathname.split('/')[1] ?? ''
  return (others[first] ?? first) || 'desk'
}
