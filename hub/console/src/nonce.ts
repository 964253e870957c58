/**
 * Lets libraries make style elements under the content policy: each gets the nonce of this page. Imported first, before any of them runs.
 */
export const nonce = document.querySelector('meta[name="qianzhi-nonce"]')?.getAttribute('content') ?? ''

const create = document.createElement.bind(document)
document.createElement = (name: string, options?: ElementCreationOptions) => {
  const element = create(name, options)
  if (name.toLowerCase() === 'style') element.setAttribute('nonce', nonce)
  return element
}
