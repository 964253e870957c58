import type { Client } from '../../test/support/client.ts'

interface Kind {
  zh: string
  en: string
}

const kinds = {
  insert: { zh: '新增', en: 'insert' },
  update: { zh: '修改', en: 'update' },
  key: { zh: '换主键', en: 'key change' },
  remove: { zh: '删除', en: 'delete' },
} satisfies Record<string, Kind>

/** What an application does to the villages table: inserts, updates, key changes and deletes, one small transaction each. */
export class Changes {
  made = 0
  readonly #codes: string[]
  #next = 0

  constructor(codes: string[]) {
    this.#codes = codes
  }

  /** Makes one change. @returns the key that changed and its name afterwards; undefined where the row is gone. */
  async make(client: Client): Promise<{ kind: Kind; code: string; name?: string }> {
    const turn = this.made++ % 6
    const name = `演示社区${this.made}`
    if (turn === 0) return this.#insert(client, name)
    if (turn === 4) return this.#changeKey(client, name)
    if (turn === 5) return this.#remove(client)
    const code = this.#codes[(this.made * 7919) % this.#codes.length]!
    await client.query('update villages set name = $2 where code = $1', [code, name])
    return { kind: kinds.update, code, name }
  }

  async #insert(client: Client, name: string) {
    const code = this.#newCode()
    await client.query('insert into villages values ($1, $2, $3, $4, $5, $6)', [code, name, '示例镇街', '示例区', '东莞市', '广东省'])
    this.#codes.push(code)
    return { kind: kinds.insert, code, name }
  }

  async #changeKey(client: Client, name: string) {
    const code = this.#newCode()
    await client.query('update villages set code = $2, name = $3 where code = $1', [this.#codes.shift(), code, name])
    this.#codes.push(code)
    return { kind: kinds.key, code, name }
  }

  async #remove(client: Client) {
    const code = this.#codes.shift()!
    await client.query('delete from villages where code = $1', [code])
    return { kind: kinds.remove, code }
  }

  #newCode(): string {
    return `4499${String(++this.#next).padStart(8, '0')}`
  }
}
