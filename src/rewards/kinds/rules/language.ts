/** The rule that an answer is in a language, detected by the package eld from its n-grams. */
import { Type } from 'typebox'
import { defineRule } from './rule.js'

/** ISO 639-1 codes that the detector knows; a test compares them with its own list. */
export const languages = ('am ar az be bg bn ca cs da de el en es et eu fa fi fr gu he hi hr hu hy is it ja ka kn ko ' +
  'ku lo lt lv ml mr ms nl no or pa pl pt ro ru sk sl sq sr sv ta te th tl tr uk ur vi yo zh').split(' ')

/** Loaded when it is first needed: half a second that servers without this rule need not wait for. */
let detector: Promise<typeof import('eld')> | undefined
const detect = async (text: string): Promise<string> =>
  (await (detector ??= import('eld/extrasmall'))).eld.detect(text).language

/** 1 where the text is most likely in the language, else 0. Unreliable on a few words: use it on sentences. */
export const language = defineRule({
  fields: { language: Type.Enum(languages) },
  members: ['outcome', 'prefix'],
  compile: ({ language }) => async ({ text }) => await detect(text) === language ? 1 : 0
})
