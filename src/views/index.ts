/**
 * views/: explanations as something to look at.
 *
 * Takes an `Explanation`, returns a string (terminal, SVG, HTML) or pixels (RGBA, PNG); never computes a score.
 * Colours come from one scale centred at zero (`scale.ts`), words from one table per language (`messages.ts`), and all
 * text of models and files goes through `escape.ts`. Only `png.ts` needs Node.
 */
export { explanationAnsi, renderExplanation } from './render.ts';
export type { Format, RenderOptions } from './render.ts';
export { renderReport } from './report.ts';
export type { Report, ReportModel } from './report.ts';
export type { ReportSection } from './report-section.ts';
export type { Bilingual } from './report-markup.ts';
export { terminalColor, tokensAnsi } from './tokens-ansi.ts';
export type { TerminalColor } from './tokens-ansi.ts';
export { tokenStyles, tokensHtml } from './tokens-html.ts';
export { tokensSvg } from './tokens-svg.ts';
export { barsOf, barsSvg } from './bars.ts';
export type { Bar, Bars } from './bars.ts';
export { imageScores } from './image-map.ts';
export type { ImageScoreOptions, ImageScores, ScoreMap } from './image-map.ts';
export { fitPicture, heatImage, originalImage, overlayImage, scaledCrop } from './image-overlay.ts';
export type { RgbPicture, RgbaImage } from './image-overlay.ts';
export { contactSheet } from './contact-sheet.ts';
export type { SheetOptions, SheetRow } from './contact-sheet.ts';
export { contourImage } from './contour.ts';
export { encodeNpy } from './npy.ts';
export { imageAnsi } from './image-ansi.ts';
export { legendAnsi, legendSvg, legendText } from './legend.ts';
export { cautions, completenessSentence, factsOf, relativeGap } from './judgement.ts';
export { passages, tokenScores } from './pieces.ts';
export type { Passage, Piece } from './pieces.ts';
export { cellColors, colorTable, makeScale } from './scale.ts';
export type { Scale, ScaleKind, Theme } from './scale.ts';
export { svgDocument } from './svg.ts';
export type { Drawing } from './svg.ts';
export { encodePng, svgToPng } from './png.ts';
export type { PngEncoder } from './png.ts';
export { escapeMarkup, showControls, terminalSafe } from './escape.ts';
export { MESSAGES } from './messages.ts';
export type { Language, Messages } from './messages.ts';
